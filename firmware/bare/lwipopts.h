/* SPDX-License-Identifier: MIT */
/* lwIP without an operating system, in about 300 KiB of RAM; smaller values suit a smaller card. */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0
#define LWIP_IPV6 0
#define LWIP_RAW 1
#define LWIP_SINGLE_NETIF 1
#define LWIP_NETIF_TX_SINGLE_PBUF 1 /* one copy into the ring, without a search through pieces */

#define MEM_ALIGNMENT 8
#define MEM_SIZE (64 * 1024)
#define PBUF_POOL_SIZE 96
#define PBUF_POOL_BUFSIZE 1520
#define MEMP_NUM_PBUF 96
#define MEMP_NUM_FRAG_PBUF 64
#define MEMP_NUM_TCP_SEG 64
#define LWIP_ICMP_ECHO_CHECK_INPUT_PBUF_LEN 0 /* the reply goes into the request's buffers: no copy */
#define IP_REASS_MAX_PBUFS 64 /* the 45 fragments of the largest ping at an MTU of 1500 */

#define TCP_MSS 1460
#define TCP_WND (16 * TCP_MSS)
#define TCP_SND_BUF (16 * TCP_MSS)
#define TCP_SND_QUEUELEN 64

#endif
