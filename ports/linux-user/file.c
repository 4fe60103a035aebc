// Streams of file descriptors, the files among them, and reading of modules.
#include <poll.h>
#include <string.h>
#include "py/builtin.h"
#include "py/lexer.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/reader.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "stream.h"
#include "syscall.h"

void *new_stream(const mp_obj_type_t *type, int fd) {
    stream_t *self = mp_obj_malloc(stream_t, type);
    self->fd = fd;
    return self;
}

mp_uint_t stream_read(mp_obj_t self, void *buf, mp_uint_t size, int *errcode) {
    return stream_result(syscall(SYS_read, stream_fd(self), (long)buf, size, 0, 0), errcode);
}

static mp_uint_t stream_write(mp_obj_t self, const void *buf, mp_uint_t size, int *errcode) {
    return stream_result(syscall(SYS_write, stream_fd(self), (long)buf, size, 0, 0), errcode);
}

mp_uint_t stream_ioctl(mp_obj_t obj, mp_uint_t request, uintptr_t arg, int *errcode) {
    stream_t *self = MP_OBJ_TO_PTR(obj);
    switch (request) {
        case MP_STREAM_POLL: {
            struct pollfd p = {self->fd, arg, 0};
            if (self->fd < 0) {
                return MP_STREAM_POLL_NVAL;
            }
            return poll(&p, 1, 0) > 0 ? p.revents : 0;
        }
        case MP_STREAM_GET_FILENO:
            return self->fd;
        case MP_STREAM_FLUSH:
            return 0;
        case MP_STREAM_CLOSE:
            if (self->fd >= 0) {
                syscall(SYS_close, self->fd, 0, 0, 0, 0);
                self->fd = -1;
            }
            return 0;
        default:
            *errcode = MP_EINVAL;
            return MP_STREAM_ERROR;
    }
}

static const mp_rom_map_elem_t file_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_flush), MP_ROM_PTR(&mp_stream_flush_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj) },
    { MP_ROM_QSTR(MP_QSTR___enter__), MP_ROM_PTR(&mp_identity_obj) },
    { MP_ROM_QSTR(MP_QSTR___exit__), MP_ROM_PTR(&mp_stream___exit___obj) },
};
static MP_DEFINE_CONST_DICT(file_locals, file_locals_table);

static const mp_stream_p_t bytes_p = { .read = stream_read, .write = stream_write, .ioctl = stream_ioctl };
static const mp_stream_p_t text_p = { .read = stream_read, .write = stream_write, .ioctl = stream_ioctl, .is_text = true };

static MP_DEFINE_CONST_OBJ_TYPE(
    bytes_file_type, MP_QSTR_FileIO, MP_TYPE_FLAG_ITER_IS_STREAM, protocol, &bytes_p, locals_dict, &file_locals);
static MP_DEFINE_CONST_OBJ_TYPE(
    text_file_type, MP_QSTR_TextIOWrapper, MP_TYPE_FLAG_ITER_IS_STREAM, protocol, &text_p, locals_dict, &file_locals);

stream_t mp_sys_stdin_obj = { { &text_file_type }, 0 };
stream_t mp_sys_stdout_obj = { { &text_file_type }, 1 };
stream_t mp_sys_stderr_obj = { { &text_file_type }, 2 };

static long open_file(const char *name, int flags) {
    return syscall(SYS_openat, AT_FDCWD, (long)name, flags, 0666, 0);
}

// open(name, mode="r"): a mode of r, w or a, and b or t
static mp_obj_t file_open(size_t n_args, const mp_obj_t *args, mp_map_t *kwargs) {
    (void)kwargs;
    const mp_obj_type_t *type = &text_file_type;
    int flags = 0;
    for (const char *mode = n_args > 1 ? mp_obj_str_get_str(args[1]) : "r"; *mode; mode++) {
        switch (*mode) {
            case 'w':
                flags = O_WRONLY | O_CREAT | O_TRUNC;
                break;
            case 'a':
                flags = O_WRONLY | O_CREAT | O_APPEND;
                break;
            case 'b':
                type = &bytes_file_type;
                break;
        }
    }
    return MP_OBJ_FROM_PTR(new_stream(type, checked(open_file(mp_obj_str_get_str(args[0]), flags))));
}
MP_DEFINE_CONST_FUN_OBJ_KW(mp_builtin_open_obj, 1, file_open);

// --- modules

mp_import_stat_t mp_import_stat(const char *path) {
    mp_import_stat_t found = MP_IMPORT_STAT_DIR;
    long fd = open_file(path, O_DIRECTORY);
    if (fd < 0) {
        found = MP_IMPORT_STAT_FILE;
        fd = open_file(path, 0);
    }
    if (fd < 0) {
        return MP_IMPORT_STAT_NO_EXIST;
    }
    syscall(SYS_close, fd, 0, 0, 0, 0);
    return found;
}

typedef struct {
    int fd;
    long len, at;
    byte buf[256];
} reader_t;

static mp_uint_t reader_readbyte(void *data) {
    reader_t *reader = data;
    if (reader->at == reader->len) {
        reader->at = 0;
        reader->len = syscall(SYS_read, reader->fd, (long)reader->buf, sizeof(reader->buf), 0, 0);
        if (reader->len <= 0) {
            reader->len = 0;
            return MP_READER_EOF;
        }
    }
    return reader->buf[reader->at++];
}

static void reader_close(void *data) {
    reader_t *reader = data;
    syscall(SYS_close, reader->fd, 0, 0, 0, 0);
    m_del_obj(reader_t, reader);
}

void mp_reader_new_file(mp_reader_t *reader, qstr filename) {
    int fd = checked(open_file(qstr_str(filename), 0));
    reader_t *data = m_new_obj(reader_t);
    data->fd = fd;
    data->len = data->at = 0;
    *reader = (mp_reader_t) { data, reader_readbyte, reader_close };
}

mp_lexer_t *mp_lexer_new_from_file(qstr filename) {
    mp_reader_t reader;
    mp_reader_new_file(&reader, filename);
    return mp_lexer_new(filename, reader);
}
