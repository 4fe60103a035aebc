// Each target's own list type is different and never used.
typedef void *va_list;
