// The module `failalloc`: allocations that fail when a test wants them to.
//
// window(on)      Count allocations from now on, or no longer; returns whether they were counted.
// arm(n, times)   Of those counted the n-th from now (1: the next) fails, and the times - 1 behind it. 0: none.
// counted()       Allocations counted since arm().
// failed()        How many of them have failed.
#include "py/gc.h"
#include "py/runtime.h"

static bool window;
static mp_uint_t first, times, counted, failed;

static bool fails(void) {
    if (!window) {
        return false;
    }
    counted++;
    if (first == 0 || counted < first || counted - first >= times) {
        return false;
    }
    failed++;
    return true;
}

void *__real_gc_alloc(size_t n_bytes, unsigned int alloc_flags);
void *__real_gc_realloc(void *ptr, size_t n_bytes, bool allow_move);

void *__wrap_gc_alloc(size_t n_bytes, unsigned int alloc_flags) {
    return n_bytes != 0 && fails() ? NULL : __real_gc_alloc(n_bytes, alloc_flags);
}

void *__wrap_gc_realloc(void *ptr, size_t n_bytes, bool allow_move) {
    // what shrinks never fails
    bool grows = n_bytes > (ptr == NULL ? 0 : gc_nbytes(ptr));
    return grows && fails() ? NULL : __real_gc_realloc(ptr, n_bytes, allow_move);
}

static mp_obj_t failalloc_window(mp_obj_t on) {
    bool was = window;
    window = mp_obj_is_true(on);
    return mp_obj_new_bool(was);
}
static MP_DEFINE_CONST_FUN_OBJ_1(failalloc_window_obj, failalloc_window);

static mp_obj_t failalloc_arm(mp_obj_t n, mp_obj_t count) {
    first = mp_obj_get_int(n);
    times = mp_obj_get_int(count);
    counted = failed = 0;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(failalloc_arm_obj, failalloc_arm);

static mp_obj_t failalloc_counted(void) {
    return MP_OBJ_NEW_SMALL_INT(counted);
}
static MP_DEFINE_CONST_FUN_OBJ_0(failalloc_counted_obj, failalloc_counted);

static mp_obj_t failalloc_failed(void) {
    return MP_OBJ_NEW_SMALL_INT(failed);
}
static MP_DEFINE_CONST_FUN_OBJ_0(failalloc_failed_obj, failalloc_failed);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_failalloc) },
    { MP_ROM_QSTR(MP_QSTR_window), MP_ROM_PTR(&failalloc_window_obj) },
    { MP_ROM_QSTR(MP_QSTR_arm), MP_ROM_PTR(&failalloc_arm_obj) },
    { MP_ROM_QSTR(MP_QSTR_counted), MP_ROM_PTR(&failalloc_counted_obj) },
    { MP_ROM_QSTR(MP_QSTR_failed), MP_ROM_PTR(&failalloc_failed_obj) },
};
static MP_DEFINE_CONST_DICT(globals, globals_table);

const mp_obj_module_t failalloc_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&globals,
};
MP_REGISTER_MODULE(MP_QSTR_failalloc, failalloc_module);
