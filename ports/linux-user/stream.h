// What file.c and modsocket.c have in common.
#ifndef STREAM_H
#define STREAM_H

#include "py/obj.h"
#include "py/stream.h"

typedef struct {
    mp_obj_base_t base;
    int fd; // -1 when closed
} stream_t;

void *new_stream(const mp_obj_type_t *type, int fd);

mp_uint_t stream_read(mp_obj_t self, void *buf, mp_uint_t size, int *errcode);
mp_uint_t stream_ioctl(mp_obj_t self, mp_uint_t request, uintptr_t arg, int *errcode);

static inline int stream_fd(mp_obj_t self) {
    return ((stream_t *)MP_OBJ_TO_PTR(self))->fd;
}

static inline mp_uint_t stream_result(long result, int *errcode) {
    if (result < 0) {
        *errcode = -result;
        return MP_STREAM_ERROR;
    }
    return result;
}

#endif
