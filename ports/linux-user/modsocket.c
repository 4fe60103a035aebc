// The module socket: IPv4, addresses as numbers or "localhost".
#include <string.h>
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "stream.h"
#include "syscall.h"

enum { AF_INET = 2, SOCK_STREAM = 1, SOCK_DGRAM = 2 };

// A socket address as the kernel takes it: the family in the machine's order, the rest in the network's.
typedef struct {
    uint16_t family;
    uint8_t port[2];
    uint8_t host[4];
    uint8_t zero[8];
} address_t;

static const mp_obj_type_t socket_type;

static mp_obj_t socket_connect(mp_obj_t self, mp_obj_t address) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(address, &info, MP_BUFFER_READ);
    checked(syscall(SYS_connect, stream_fd(self), (long)info.buf, info.len, 0, 0));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_connect_obj, socket_connect);

static mp_obj_t socket_bind(mp_obj_t self, mp_obj_t address) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(address, &info, MP_BUFFER_READ);
    checked(syscall(SYS_bind, stream_fd(self), (long)info.buf, info.len, 0, 0));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_bind_obj, socket_bind);

static mp_obj_t socket_listen(size_t n_args, const mp_obj_t *args) {
    checked(syscall(SYS_listen, stream_fd(args[0]), n_args > 1 ? mp_obj_get_int(args[1]) : 2, 0, 0, 0));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_listen_obj, 1, 2, socket_listen);

static mp_obj_t socket_accept(mp_obj_t self) {
    address_t address;
    uint32_t len = sizeof(address);
    int fd = checked(syscall(SYS_accept, stream_fd(self), (long)&address, (long)&len, 0, 0));
    mp_obj_t result[] = {
        MP_OBJ_FROM_PTR(new_stream(&socket_type, fd)),
        mp_obj_new_bytes((const byte *)&address, len),
    };
    return mp_obj_new_tuple(2, result);
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_accept_obj, socket_accept);

// setsockopt(level, option, integer)
static mp_obj_t socket_setsockopt(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    int32_t value = mp_obj_get_int(args[3]);
    int level = mp_obj_get_int(args[1]), option = mp_obj_get_int(args[2]);
    checked(syscall(SYS_setsockopt, stream_fd(args[0]), level, option, (long)&value, sizeof(value)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_setsockopt_obj, 4, 4, socket_setsockopt);

static mp_obj_t socket_setblocking(mp_obj_t self, mp_obj_t blocking) {
    int flags = checked(syscall(SYS_fcntl, stream_fd(self), F_GETFL, 0, 0, 0));
    flags = mp_obj_is_true(blocking) ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    checked(syscall(SYS_fcntl, stream_fd(self), F_SETFL, flags, 0, 0));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_setblocking_obj, socket_setblocking);

static const mp_rom_map_elem_t socket_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_connect), MP_ROM_PTR(&socket_connect_obj) },
    { MP_ROM_QSTR(MP_QSTR_bind), MP_ROM_PTR(&socket_bind_obj) },
    { MP_ROM_QSTR(MP_QSTR_listen), MP_ROM_PTR(&socket_listen_obj) },
    { MP_ROM_QSTR(MP_QSTR_accept), MP_ROM_PTR(&socket_accept_obj) },
    { MP_ROM_QSTR(MP_QSTR_setsockopt), MP_ROM_PTR(&socket_setsockopt_obj) },
    { MP_ROM_QSTR(MP_QSTR_setblocking), MP_ROM_PTR(&socket_setblocking_obj) },
    { MP_ROM_QSTR(MP_QSTR_send), MP_ROM_PTR(&mp_stream_write1_obj) },
    { MP_ROM_QSTR(MP_QSTR_recv), MP_ROM_PTR(&mp_stream_read1_obj) },
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj) },
};
static MP_DEFINE_CONST_DICT(socket_locals, socket_locals_table);

// a peer that has gone is an error, not a signal
static mp_uint_t socket_write(mp_obj_t self, const void *buf, mp_uint_t size, int *errcode) {
    return stream_result(syscall(SYS_sendto, stream_fd(self), (long)buf, size, MSG_NOSIGNAL, 0), errcode);
}

static const mp_stream_p_t socket_p = { .read = stream_read, .write = socket_write, .ioctl = stream_ioctl };

// socket(family=AF_INET, type=SOCK_STREAM, protocol=0)
static mp_obj_t socket_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 3, false);
    int parameters[] = { AF_INET, SOCK_STREAM, 0 };
    for (size_t i = 0; i < n_args; i++) {
        parameters[i] = mp_obj_get_int(args[i]);
    }
    return MP_OBJ_FROM_PTR(new_stream(type, checked(syscall(SYS_socket, parameters[0], parameters[1], parameters[2], 0, 0))));
}

static MP_DEFINE_CONST_OBJ_TYPE(
    socket_type, MP_QSTR_socket, MP_TYPE_FLAG_NONE, make_new, socket_make_new, protocol, &socket_p, locals_dict, &socket_locals);

// Four numbers with dots between; OSError if it is anything else. Can raise.
static void parse_host(const char *text, uint8_t *host) {
    for (int i = 0; i < 4; i++) {
        unsigned int number = 0, digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 3; text++, digits++) {
            number = number * 10 + *text - '0';
        }
        if (!digits || number > 255 || *text++ != (i < 3 ? '.' : '\0')) {
            mp_raise_OSError(MP_EHOSTUNREACH);
        }
        host[i] = number;
    }
}

// getaddrinfo(host, port, family=0, type=SOCK_STREAM, protocol=0, flags=0)
static mp_obj_t getaddrinfo(size_t n_args, const mp_obj_t *args) {
    const char *host = mp_obj_str_get_str(args[0]);
    int port = mp_obj_get_int(args[1]);
    address_t address = { .family = AF_INET, .port = { port >> 8, port } };
    parse_host(strcmp(host, "localhost") ? host : "127.0.0.1", address.host);
    int type = n_args > 3 ? mp_obj_get_int(args[3]) : 0;
    mp_obj_t info[] = {
        MP_OBJ_NEW_SMALL_INT(AF_INET),
        MP_OBJ_NEW_SMALL_INT(type ? type : SOCK_STREAM),
        MP_OBJ_NEW_SMALL_INT(0),
        MP_OBJ_NEW_QSTR(MP_QSTR_),
        mp_obj_new_bytes((const byte *)&address, sizeof(address)),
    };
    mp_obj_t only = mp_obj_new_tuple(5, info);
    return mp_obj_new_list(1, &only);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(getaddrinfo_obj, 2, 6, getaddrinfo);

static const mp_rom_map_elem_t socket_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_socket) },
    { MP_ROM_QSTR(MP_QSTR_socket), MP_ROM_PTR(&socket_type) },
    { MP_ROM_QSTR(MP_QSTR_getaddrinfo), MP_ROM_PTR(&getaddrinfo_obj) },
    { MP_ROM_QSTR(MP_QSTR_AF_INET), MP_ROM_INT(AF_INET) },
    { MP_ROM_QSTR(MP_QSTR_SOCK_STREAM), MP_ROM_INT(SOCK_STREAM) },
    { MP_ROM_QSTR(MP_QSTR_SOCK_DGRAM), MP_ROM_INT(SOCK_DGRAM) },
    { MP_ROM_QSTR(MP_QSTR_SOL_SOCKET), MP_ROM_INT(1) },
    { MP_ROM_QSTR(MP_QSTR_SO_REUSEADDR), MP_ROM_INT(2) },
    { MP_ROM_QSTR(MP_QSTR_SO_KEEPALIVE), MP_ROM_INT(9) },
    { MP_ROM_QSTR(MP_QSTR_IPPROTO_TCP), MP_ROM_INT(6) },
    { MP_ROM_QSTR(MP_QSTR_TCP_NODELAY), MP_ROM_INT(1) },
};
static MP_DEFINE_CONST_DICT(socket_globals, socket_globals_table);

const mp_obj_module_t socket_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&socket_globals,
};
MP_REGISTER_MODULE(MP_QSTR_socket, socket_module);
