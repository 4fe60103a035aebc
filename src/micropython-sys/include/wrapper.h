// What bindgen reads: the function table a native module is given and the objects it may touch.
#include "py/nativeglue.h"
#include "py/binary.h"
#include "py/objarray.h"
#include "py/objfun.h"
#include "py/objlist.h"
#include "py/objtuple.h"
