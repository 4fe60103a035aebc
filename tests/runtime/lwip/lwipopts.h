// lwIP as on an RP2: MicroPython's options for the boards, and those of ports/rp2/lwip_inc/lwipopts.h.
#include <stdint.h>

#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_ND6_NUM_DESTINATIONS 4
#define LWIP_ND6_QUEUEING 0
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#include "extmod/lwip-include/lwipopts_common.h"

// Pointers are twice as long here.
#undef MEM_ALIGNMENT
#define MEM_ALIGNMENT 8

// A computer has this name whatever a resolver knows.
#define DNS_LOCAL_HOSTLIST 1
#define DNS_LOCAL_HOSTLIST_INIT { DNS_LOCAL_HOSTLIST_ELEM("localhost", IPADDR4_INIT_BYTES(127, 0, 0, 1)) }
