/* Leaks in C, called through ctypes. */

#include <stdlib.h>
#include <string.h>

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
