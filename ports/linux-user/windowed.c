// A plug-in for GNU binutils that describes an Xtensa core with register windows: QEMU's tables of instructions in the
// form that binutils' xtensa-dynconfig.h asks for.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define XTENSA_CONFIG_DEFINITION
#include "core-isa.h"
#define XCHAL_HAVE_MMU 0
#define XSHAL_ABI 0 // windowed
#define XSHAL_USE_ABSOLUTE_LITERALS 0
#include "xtensa-dynconfig.h"

XTENSA_CONFIG_INSTANCE_LIST;

#define ATTRIBUTE_UNUSED __attribute__((unused))
#include "xtensa-modules.c.inc"
