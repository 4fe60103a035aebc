// micropython [-X heapsize=N[k|m]] [-c COMMAND | SCRIPT] [ARGUMENT...]: as the unix port understands it; without a command
// or script the program is read from standard input. MICROPYPATH names the folders of modules.
#include <string.h>
#include "py/compile.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/persistentcode.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "syscall.h"

enum { HEAP = 8 << 20, STACK = 256 << 10, CODE = 1 << 20 }; // bytes

static char *stack_top;

static void leave(int) __attribute__((noreturn));
static void die(const char *) __attribute__((noreturn));

static void leave(int code) {
    for (;;) {
        syscall(SYS_exit_group, code, 0, 0, 0, 0);
    }
}

static void die(const char *why) {
    write_all(2, why, strlen(why));
    write_all(2, "\n", 1);
    leave(134);
}

void nlr_jump_fail(void *val) {
    (void)val;
    die("nothing catches this exception");
}

void abort(void) {
    die("abort");
}

static void *new_memory(size_t size, int protection) {
    long memory = syscall(SYS_mmap, 0, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (memory < 0 && memory > -4096) {
        die("the system has not enough memory for this heapsize");
    }
    return (void *)memory;
}

#if defined(__xtensa__)
void *commit_code(const void *code, size_t len, void *reloc) {
    static uint8_t *next, *end;
    if (next == NULL) {
        next = new_memory(CODE, PROT_READ | PROT_WRITE | PROT_EXEC);
        end = next + CODE;
        next += 4; // the chips grant an alignment of 4 and no more
    }
    len = (len + 3) & ~3;
    if (len > (size_t)(end - next)) {
        m_malloc_fail(len);
    }
    uint8_t *to = next;
    next += (len + 16) & ~15;
    if (reloc != NULL) {
        mp_native_relocate(reloc, (uint8_t *)code, (uintptr_t)to);
    }
    memcpy(to, code, len);
    return to;
}
#endif

#if defined(__XTENSA_WINDOWED_ABI__)
void flush_windows(int depth);
#endif

// The stack from here on, with the registers that gc_collect put on it.
static MP_NOINLINE void collect_stack(void) {
    void *here = &here;
    gc_collect_root((void **)here, (stack_top - (char *)here) / sizeof(void *));
}

void gc_collect(void) {
    gc_collect_start();
    #if defined(__XTENSA_WINDOWED_ABI__)
    flush_windows(15);
    #else
    __builtin_unwind_init(); // saves the registers that calls keep
    #endif
    collect_stack();
    gc_collect_end();
}

// --- the program

static void print_error(void *env, const char *text, size_t len) {
    (void)env;
    write_all(2, text, len);
}

static const mp_print_t to_stderr = { NULL, print_error };

// The exit code that an uncaught exception means.
static int uncaught(mp_obj_t exc) {
    const mp_obj_type_t *type = mp_obj_get_type(exc);
    if (mp_obj_is_subclass_fast(MP_OBJ_FROM_PTR(type), MP_OBJ_FROM_PTR(&mp_type_SystemExit))) {
        mp_obj_t value = mp_obj_exception_get_value(exc);
        if (value == mp_const_none) {
            return 0;
        }
        if (mp_obj_is_int(value)) {
            return mp_obj_get_int(value) & 255;
        }
        mp_obj_print_helper(&to_stderr, value, PRINT_STR);
        write_all(2, "\n", 1);
        return 1;
    }
    mp_obj_print_exception(&to_stderr, exc);
    return 1;
}

static int run(mp_lexer_t *new_lexer(const char *), const char *source) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        return uncaught(MP_OBJ_FROM_PTR(nlr.ret_val));
    }
    mp_lexer_t *lexer = new_lexer(source);
    qstr name = lexer->source_name;
    mp_parse_tree_t tree = mp_parse(lexer, MP_PARSE_FILE_INPUT);
    mp_call_function_0(mp_compile(&tree, name, false));
    nlr_pop();
    return 0;
}

static mp_lexer_t *lexer_of_command(const char *command) {
    return mp_lexer_new_from_str_len(MP_QSTR__lt_string_gt_, command, strlen(command), 0);
}

static mp_lexer_t *lexer_of_file(const char *name) {
    return mp_lexer_new_from_file(qstr_from_str(name));
}

// heapsize=N, with k or m: bytes, 0 if it is no such option
static size_t heap_size(const char *option) {
    static const char name[] = "heapsize=";
    if (strncmp(option, name, sizeof(name) - 1) != 0) {
        return 0;
    }
    size_t size = 0;
    for (option += sizeof(name) - 1; *option >= '0' && *option <= '9'; option++) {
        size = size * 10 + *option - '0';
    }
    switch (*option | 0x20) {
        case 'm':
            return size << 20;
        case 'k':
            return size << 10;
        default:
            return size;
    }
}

static void append_str(mp_obj_t list, const char *text, size_t len) {
    mp_obj_list_append(list, mp_obj_new_str(text, len));
}

// sys.path: the script's folder, then the folders of MICROPYPATH
static void set_path(const char *script, char **environment) {
    static const char name[] = "MICROPYPATH=";
    mp_obj_list_init(MP_OBJ_TO_PTR(mp_sys_path), 0);
    size_t folder = 0;
    for (size_t i = 0; script != NULL && script[i] != '\0'; i++) {
        if (script[i] == '/') {
            folder = i;
        }
    }
    append_str(mp_sys_path, script, folder);
    const char *path = ".frozen";
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, sizeof(name) - 1) == 0) {
            path = *environment + sizeof(name) - 1;
        }
    }
    for (;;) {
        const char *colon = strchr(path, ':');
        if (colon == NULL) {
            append_str(mp_sys_path, path, strlen(path));
            return;
        }
        append_str(mp_sys_path, path, colon - path);
        path = colon + 1;
    }
}

// `words`: argc, argv with its NULL, the environment with its own, as the kernel lays them on the stack.
void start(uintptr_t *words) {
    stack_top = (char *)words;
    char **argv = (char **)(words + 1), **environment = argv + words[0] + 1;
    size_t heap = HEAP;
    const char *command = NULL;
    for (argv++; *argv != NULL && (*argv)[0] == '-' && argv[1] != NULL; argv += 2) {
        if (strcmp(*argv, "-X") == 0 && heap_size(argv[1])) {
            heap = heap_size(argv[1]);
        } else if (strcmp(*argv, "-c") == 0 && command == NULL) {
            command = argv[1];
            *++argv = "-c";
            break;
        } else {
            die("usage: micropython [-X heapsize=N[k|m]] [-c COMMAND | SCRIPT] [ARGUMENT...]");
        }
    }

    mp_stack_set_top(stack_top);
    mp_stack_set_limit(STACK);
    // native code lies in the heap where there is no place of its own
    char *memory = new_memory(heap, PROT_READ | PROT_WRITE | PROT_EXEC);
    gc_init(memory, memory + heap);
    mp_init();
    set_path(command ? NULL : *argv, environment);
    for (char **arg = argv; *arg != NULL; arg++) {
        append_str(mp_sys_argv, *arg, strlen(*arg));
    }
    leave(command ? run(lexer_of_command, command) : run(lexer_of_file, *argv ? *argv : "/dev/stdin"));
}
