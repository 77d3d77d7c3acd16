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

static void **blocks;
static size_t count, room;

void append_block(size_t size)
{
    if (count == room) {
        size_t larger = room ? 2 * room : 64;
        void **moved = realloc(blocks, larger * sizeof *moved);
        if (moved == NULL)
            return;
        blocks = moved;
        room = larger;
    }
    blocks[count++] = calloc(1, size); /* leak: c_growing_array */
}

void *take_buffer(size_t size)
{
    void *buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* leak: c_mapping */
    if (buffer == MAP_FAILED)
        return NULL;
    memset(buffer, 0xA5, size);
    return buffer;
}
