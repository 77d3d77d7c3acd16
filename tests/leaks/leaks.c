/* Leaks in C, called through ctypes. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct record {
    size_t size;
    char payload[];
};

void *make_record(size_t size)
{
    struct record *made = malloc(sizeof *made + size); /* leak: c_malloc */
    if (made == NULL)
        return NULL;
    made->size = size;
    memset(made->payload, 0xA5, size);
    return made;
}

struct name {
    struct name *next;
    char *text;
};

static struct name *names;

void push_name(const char *text)
{
    struct name *pushed = malloc(sizeof *pushed); /* leak: c_list */
    if (pushed == NULL)
        return;
    pushed->text = strdup(text); /* leak: c_list */
    pushed->next = names;
    names = pushed;
}

void *take_buffer(size_t size)
{
    void *buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* leak: c_mapping */
    if (buffer == MAP_FAILED)
        return NULL;
    memset(buffer, 0xA5, size);
    return buffer;
}
