/* SPDX-License-Identifier: MIT */
/* Generated from vnetcard/ring/layout.py by `python -m vnetcard.engine.layoutgen`; do not edit. */
#ifndef VNC_LAYOUT_H
#define VNC_LAYOUT_H
#include <stddef.h>
#include <stdint.h>

#define VNC_MAGIC UINT64_C(0x3144524354454e56)
#define VNC_VERSION 1u
#define VNC_LINE 64u
#define VNC_SIDE_OFFSET 1024u
#define VNC_SIDE_BYTES 512u
#define VNC_QUEUE_OFFSET 2048u
#define VNC_QUEUE_BYTES 2048u
#define VNC_QUEUES_MAX 15u
#define VNC_RING_ALIGN 4096u
#define VNC_RING_MIN 4096u
#define VNC_RING_MAX 536870912u
#define VNC_WINDOW_MIN 16384u
#define VNC_WINDOW_MAX 1073741824u
#define VNC_RECORD_HEADER 16u
#define VNC_FRAME_MAX 65600u
#define VNC_VNET_HDR 10u
#define VNC_LINK_COUNTERS_OFFSET 128u
#define VNC_LEDGER_WORDS 16u
#define VNC_LEDGER_CHECKSUM 15u
#define VNC_LEDGER_SLOT_BYTES 128u
#define VNC_STATS_BYTES 128u
#define VNC_BATCH_WORDS 8u
#define VNC_ENGINE_ID 0x44434e56u
#define VNC_ENGINE_VERSION 0x1u

#define VNC_STATE_DOWN 0u
#define VNC_STATE_INIT 1u
#define VNC_STATE_READY 2u
#define VNC_STATE_RUN 3u
#define VNC_STATE_REFUSED 4u

#define VNC_F_CSUM 1u
#define VNC_F_TSO4 2u
#define VNC_F_TSO6 4u
#define VNC_F_USO4 8u
#define VNC_F_USO6 16u
#define VNC_F_WAKE 256u
#define VNC_F_IRQ 512u
#define VNC_F_CRC32C 65536u

#define VNC_REC_VNET 1u

#define VNC_CONTROL_ENABLE 1u
#define VNC_CONTROL_NEED_WAKEUP 2u

#define VNC_STATUS_TX_RUN 1u
#define VNC_STATUS_TX_HALT 2u
#define VNC_STATUS_TX_DRAIN 4u
#define VNC_STATUS_RX_RUN 16u
#define VNC_STATUS_RX_HALT 32u
#define VNC_STATUS_RX_DRAIN 64u
#define VNC_STATUS_LOCKED 256u
#define VNC_STATUS_OVERTAKEN 512u
#define VNC_STATUS_SIDE_RUN 4096u
#define VNC_STATUS_SIDE_HALT 8192u
#define VNC_STATUS_SIDE_DRAIN 16384u

#define VNC_RESET_TX 1u
#define VNC_RESET_RX 2u
#define VNC_RESET_SIDE 4u

#define VNC_IRQ_RX_PROD 1u
#define VNC_IRQ_TX_CONS 2u
#define VNC_IRQ_TX_HALT 4u
#define VNC_IRQ_RX_HALT 8u
#define VNC_IRQ_SIDE 16u
#define VNC_IRQ_SIDE_HALT 32u

#define VNC_CAUSE_NONE 0u
#define VNC_CAUSE_CONFIG 1u
#define VNC_CAUSE_READ 2u
#define VNC_CAUSE_WRITE 3u
#define VNC_CAUSE_PROD_WRITE 4u
#define VNC_CAUSE_CONS_WRITE 5u
#define VNC_CAUSE_BAD_PROD 6u
#define VNC_CAUSE_BAD_CONS 7u
#define VNC_CAUSE_TIMEOUT 8u
#define VNC_CAUSE_WAKEUP_READ 9u

#define VNC_Q_H2C_PROD 0x000u
#define VNC_Q_H2C_CONS 0x080u
#define VNC_Q_C2H_PROD 0x100u
#define VNC_Q_C2H_CONS 0x180u
#define VNC_Q_H2C_TX 0x200u
#define VNC_Q_H2C_RX 0x380u
#define VNC_Q_C2H_TX 0x500u
#define VNC_Q_C2H_RX 0x680u

/* the DMA engine's register page, 32 bits each */
#define VNC_REG_ID 0x000u
#define VNC_REG_VERSION 0x004u
#define VNC_REG_CAPS 0x008u
#define VNC_REG_CONTROL 0x00cu
#define VNC_REG_STATUS 0x010u
#define VNC_REG_RESET 0x014u
#define VNC_REG_IRQ_STATUS 0x018u
#define VNC_REG_IRQ_ENABLE 0x01cu
#define VNC_REG_WINDOW_BASE_LO 0x020u
#define VNC_REG_WINDOW_BASE_HI 0x024u
#define VNC_REG_WINDOW_LOG2 0x028u
#define VNC_REG_H2C_RING_OFFSET 0x030u
#define VNC_REG_H2C_RING_LOG2 0x034u
#define VNC_REG_C2H_RING_OFFSET 0x038u
#define VNC_REG_C2H_RING_LOG2 0x03cu
#define VNC_REG_TX_PROD 0x040u
#define VNC_REG_RX_CONS 0x044u
#define VNC_REG_TX_START 0x048u
#define VNC_REG_SIDE_DOORBELL 0x04cu
#define VNC_REG_SIDE_DONE 0x050u
#define VNC_REG_SIDE_CAUSE 0x054u
#define VNC_REG_SIDE_ERROR_ADDR_LO 0x058u
#define VNC_REG_SIDE_ERROR_ADDR_HI 0x05cu
#define VNC_REG_IRQ_COUNT 0x060u
#define VNC_REG_IRQ_TIME 0x064u
#define VNC_REG_TIMEOUT 0x068u
#define VNC_REG_TX_CAUSE 0x080u
#define VNC_REG_TX_ERROR_ADDR_LO 0x084u
#define VNC_REG_TX_ERROR_ADDR_HI 0x088u
#define VNC_REG_TX_PUBLISHED 0x08cu
#define VNC_REG_TX_RETURNED 0x090u
#define VNC_REG_TX_BYTES_LO 0x094u
#define VNC_REG_TX_BYTES_HI 0x098u
#define VNC_REG_TX_BURSTS 0x09cu
#define VNC_REG_TX_PUBLICATIONS 0x0a0u
#define VNC_REG_TX_ERRORS 0x0a4u
#define VNC_REG_TX_STALL_READ 0x0a8u
#define VNC_REG_TX_STALL_WRITE 0x0acu
#define VNC_REG_TX_STALL_ACK 0x0b0u
#define VNC_REG_TX_SUPPRESSED 0x0b4u
#define VNC_REG_TX_LATENCY 0x0b8u
#define VNC_REG_TX_LATENCY_MAX 0x0bcu
#define VNC_REG_RX_CAUSE 0x0c0u
#define VNC_REG_RX_ERROR_ADDR_LO 0x0c4u
#define VNC_REG_RX_ERROR_ADDR_HI 0x0c8u
#define VNC_REG_RX_PUBLISHED 0x0ccu
#define VNC_REG_RX_RETURNED 0x0d0u
#define VNC_REG_RX_BYTES_LO 0x0d4u
#define VNC_REG_RX_BYTES_HI 0x0d8u
#define VNC_REG_RX_BURSTS 0x0dcu
#define VNC_REG_RX_PUBLICATIONS 0x0e0u
#define VNC_REG_RX_ERRORS 0x0e4u
#define VNC_REG_RX_STALL_READ 0x0e8u
#define VNC_REG_RX_STALL_WRITE 0x0ecu
#define VNC_REG_RX_STALL_ACK 0x0f0u
#define VNC_REG_RX_SUPPRESSED 0x0f4u
#define VNC_REG_RX_LATENCY 0x0f8u
#define VNC_REG_RX_LATENCY_MAX 0x0fcu
#define VNC_REG_CYCLES_LO 0x100u
#define VNC_REG_CYCLES_HI 0x104u

/* written by: creator; magic last, with release; nothing else changes afterwards */
struct vnc_superblock {
	uint64_t magic;                 /* 0x00 `VNETCRD1`; 0 until the window is complete */
	uint32_t version_min;           /* 0x08 oldest wire format that may use this window */
	uint32_t version_max;           /* 0x0c newest wire format that may use this window */
	uint64_t window_bytes;          /* 0x10 size of the window, 16 KiB to 1 GiB */
	uint32_t queues;                /* 0x18 Q, the number of queue pairs, 1 to 15 */
	uint32_t rings_offset;          /* 0x1c where the first ring may start; multiple of 4 KiB */
	uint32_t instance;              /* 0x20 random id of this creation; never 0 */
	uint32_t checksum;              /* 0x24 CRC-32 (zlib) of the superblock with magic and checksum as 0, and of the Q descriptors */
	uint32_t removable;             /* 0x28 1: the agents created the file; the last one to close it removes it */
	uint8_t pad[20];
};
_Static_assert(sizeof(struct vnc_superblock) == 64, "superblock");
_Static_assert(offsetof(struct vnc_superblock, magic) == 0, "superblock.magic");
_Static_assert(offsetof(struct vnc_superblock, version_min) == 8, "superblock.version_min");
_Static_assert(offsetof(struct vnc_superblock, version_max) == 12, "superblock.version_max");
_Static_assert(offsetof(struct vnc_superblock, window_bytes) == 16, "superblock.window_bytes");
_Static_assert(offsetof(struct vnc_superblock, queues) == 24, "superblock.queues");
_Static_assert(offsetof(struct vnc_superblock, rings_offset) == 28, "superblock.rings_offset");
_Static_assert(offsetof(struct vnc_superblock, instance) == 32, "superblock.instance");
_Static_assert(offsetof(struct vnc_superblock, checksum) == 36, "superblock.checksum");
_Static_assert(offsetof(struct vnc_superblock, removable) == 40, "superblock.removable");

/* written by: creator; as the superblock; descriptor q is at 0x40 * (1 + q) */
struct vnc_queue_descriptor {
	uint32_t h2c_offset;            /* 0x00 start of the h2c ring in the window; multiple of 4 KiB */
	uint32_t h2c_bytes;             /* 0x04 size of the h2c ring; a power of two, 4 KiB to 512 MiB */
	uint32_t c2h_offset;            /* 0x08 start of the c2h ring; from window_bytes on in a second memory */
	uint32_t c2h_bytes;             /* 0x0c size of the c2h ring */
	uint8_t pad[48];
};
_Static_assert(sizeof(struct vnc_queue_descriptor) == 64, "queue_descriptor");
_Static_assert(offsetof(struct vnc_queue_descriptor, h2c_offset) == 0, "queue_descriptor.h2c_offset");
_Static_assert(offsetof(struct vnc_queue_descriptor, h2c_bytes) == 4, "queue_descriptor.h2c_bytes");
_Static_assert(offsetof(struct vnc_queue_descriptor, c2h_offset) == 8, "queue_descriptor.c2h_offset");
_Static_assert(offsetof(struct vnc_queue_descriptor, c2h_bytes) == 12, "queue_descriptor.c2h_bytes");

/* written by: this side; answered = 0, then epoch, then the index lines, then answered; each step released before the next */
struct vnc_side_control {
	uint32_t epoch;                 /* 0x00 random, new at each start; 0: stopped cleanly */
	uint32_t answered;              /* 0x04 the peer's epoch that this side has answered; 0: none */
	uint32_t state;                 /* 0x08 DOWN, INIT, READY, RUN, REFUSED; for diagnosis only, the handshake reads the epochs */
	uint32_t heartbeat;             /* 0x0c counter that increases while the agent is alive */
	uint32_t features;              /* 0x10 features offered, a bit mask */
	uint32_t mtu;                   /* 0x14 largest IP packet in bytes that this side accepts, without an Ethernet header */
	uint32_t version;               /* 0x18 wire format version of this side */
	uint32_t queue_mask;            /* 0x1c queue pairs that this side serves, a bit mask without gaps; bit 0 is implied */
	uint32_t final_own_epoch;       /* 0x20 last generation in which this side received: its own epoch */
	uint32_t final_peer_epoch;      /* 0x24 last generation in which this side received: the peer's epoch */
	uint64_t final_records;         /* 0x28 records received in that generation, over all queues */
	uint32_t irq_number;            /* 0x30 with IRQ: 1 + the interrupt number of this side at the window's device; 0: none */
	uint32_t frames;                /* 0x34 what a record holds: 0 an IP packet, 1 an Ethernet frame; the two sides must be equal */
	uint32_t layout;                /* 0x38 checksum of the superblock that this side runs on; 0: it does not say */
	uint32_t port_down;             /* 0x3c 1: nothing is behind this side's port; the peer then has no carrier */
};
_Static_assert(sizeof(struct vnc_side_control) == 64, "side_control");
_Static_assert(offsetof(struct vnc_side_control, epoch) == 0, "side_control.epoch");
_Static_assert(offsetof(struct vnc_side_control, answered) == 4, "side_control.answered");
_Static_assert(offsetof(struct vnc_side_control, state) == 8, "side_control.state");
_Static_assert(offsetof(struct vnc_side_control, heartbeat) == 12, "side_control.heartbeat");
_Static_assert(offsetof(struct vnc_side_control, features) == 16, "side_control.features");
_Static_assert(offsetof(struct vnc_side_control, mtu) == 20, "side_control.mtu");
_Static_assert(offsetof(struct vnc_side_control, version) == 24, "side_control.version");
_Static_assert(offsetof(struct vnc_side_control, queue_mask) == 28, "side_control.queue_mask");
_Static_assert(offsetof(struct vnc_side_control, final_own_epoch) == 32, "side_control.final_own_epoch");
_Static_assert(offsetof(struct vnc_side_control, final_peer_epoch) == 36, "side_control.final_peer_epoch");
_Static_assert(offsetof(struct vnc_side_control, final_records) == 40, "side_control.final_records");
_Static_assert(offsetof(struct vnc_side_control, irq_number) == 48, "side_control.irq_number");
_Static_assert(offsetof(struct vnc_side_control, frames) == 52, "side_control.frames");
_Static_assert(offsetof(struct vnc_side_control, layout) == 56, "side_control.layout");
_Static_assert(offsetof(struct vnc_side_control, port_down) == 60, "side_control.port_down");

/* written by: this side; none */
struct vnc_side_identity {
	uint32_t pid;                   /* 0x00 process id of the agent in its own PID namespace */
	uint32_t reserved;              /* 0x04 0 */
	uint64_t started_ns;            /* 0x08 CLOCK_REALTIME at the start of the agent, nanoseconds */
	uint8_t software[16];           /* 0x10 version of the software, ASCII, padded with 0 */
	uint64_t mac;                   /* 0x20 MAC address that the peer's frames must have, then the bytes 1 and 0; anything else: any */
	uint8_t machine[24];            /* 0x28 name of the machine, ASCII, padded with 0 */
};
_Static_assert(sizeof(struct vnc_side_identity) == 64, "side_identity");
_Static_assert(offsetof(struct vnc_side_identity, pid) == 0, "side_identity.pid");
_Static_assert(offsetof(struct vnc_side_identity, reserved) == 4, "side_identity.reserved");
_Static_assert(offsetof(struct vnc_side_identity, started_ns) == 8, "side_identity.started_ns");
_Static_assert(offsetof(struct vnc_side_identity, software) == 16, "side_identity.software");
_Static_assert(offsetof(struct vnc_side_identity, mac) == 32, "side_identity.mac");
_Static_assert(offsetof(struct vnc_side_identity, machine) == 40, "side_identity.machine");

/* written by: producer; prod with release, after the records that it covers */
struct vnc_prod_line {
	uint32_t prod;                  /* 0x00 bytes produced, free-running, a multiple of 64 */
	uint32_t need_wakeup;           /* 0x04 1: the producer sleeps until cons moves */
	uint8_t pad[56];
};
_Static_assert(sizeof(struct vnc_prod_line) == 64, "prod_line");
_Static_assert(offsetof(struct vnc_prod_line, prod) == 0, "prod_line.prod");
_Static_assert(offsetof(struct vnc_prod_line, need_wakeup) == 4, "prod_line.need_wakeup");

/* written by: consumer; cons with release, after the last read of the records that it frees */
struct vnc_cons_line {
	uint32_t cons;                  /* 0x00 bytes consumed, free-running, a multiple of 64 */
	uint32_t need_wakeup;           /* 0x04 1: the consumer sleeps until prod moves */
	uint8_t pad[56];
};
_Static_assert(sizeof(struct vnc_cons_line) == 64, "cons_line");
_Static_assert(offsetof(struct vnc_cons_line, cons) == 0, "cons_line.cons");
_Static_assert(offsetof(struct vnc_cons_line, need_wakeup) == 4, "cons_line.need_wakeup");

/* written by: producer; complete before prod covers it; padded to a multiple of 64 */
struct vnc_record {
	uint32_t len;                   /* 0x00 bytes of payload after this header, 1 to 65600 */
	uint16_t flags;                 /* 0x04 VNET */
	uint16_t hdr_len;               /* 0x06 bytes of virtio_net_hdr at the start of the payload: 0 or 10 */
	uint32_t seq;                   /* 0x08 number of this record in its generation, from 0 */
	uint32_t crc32c;                /* 0x0c 0 (CRC32C is not negotiated) */
};
_Static_assert(sizeof(struct vnc_record) == 16, "record");
_Static_assert(offsetof(struct vnc_record, len) == 0, "record.len");
_Static_assert(offsetof(struct vnc_record, flags) == 4, "record.flags");
_Static_assert(offsetof(struct vnc_record, hdr_len) == 6, "record.hdr_len");
_Static_assert(offsetof(struct vnc_record, seq) == 8, "record.seq");
_Static_assert(offsetof(struct vnc_record, crc32c) == 12, "record.crc32c");

enum vnc_tx_word {
	VNC_TX_STAMP = 0,
	VNC_TX_GENERATION = 1,
	VNC_TX_GEN_RECORDS = 2,
	VNC_TX_INDEX = 3,
	VNC_TX_TX_TAKEN = 4,
	VNC_TX_TX_TAKEN_BYTES = 5,
	VNC_TX_TX_SENT = 6,
	VNC_TX_TX_SENT_BYTES = 7,
	VNC_TX_LOST_RESTART = 8,
	VNC_TX_DROP_LINK_DOWN = 9,
	VNC_TX_DROP_PEER_DEAD = 10,
	VNC_TX_DROP_TOO_BIG = 11,
	VNC_TX_DROP_MALFORMED = 12,
	VNC_TX_DROP_OFFLOAD = 13,
};

enum vnc_rx_word {
	VNC_RX_STAMP = 0,
	VNC_RX_GENERATION = 1,
	VNC_RX_GEN_RECORDS = 2,
	VNC_RX_INDEX = 3,
	VNC_RX_RX_RECEIVED = 4,
	VNC_RX_RX_RECEIVED_BYTES = 5,
	VNC_RX_RX_DELIVERED = 6,
	VNC_RX_RX_DELIVERED_BYTES = 7,
	VNC_RX_DROP_PORT_REFUSED = 8,
	VNC_RX_DROP_PORT_DOWN = 9,
	VNC_RX_DROP_BAD_FRAME = 10,
	VNC_RX_GEN_SERIAL = 11,
	VNC_RX_DROP_SOURCE = 12,
	VNC_RX_DROP_REDIRECT = 13,
	VNC_RX_DROP_SEGMENTS = 14,
};

enum vnc_txstat_word {
	VNC_TXSTAT_PORT_READS = 0,
	VNC_TXSTAT_PUBLICATIONS = 1,
	VNC_TXSTAT_RING_FULL = 2,
	VNC_TXSTAT_SLEEPS = 3,
	VNC_TXSTAT_WAKEUPS_SENT = 4,
	VNC_TXSTAT_WAKEUPS_SUPPRESSED = 5,
	VNC_TXSTAT_VIOL_CONS = 6,
	VNC_TXSTAT_LATE_WAKEUPS = 7,
	VNC_TXSTAT_BUSY_NS = 8,
	VNC_TXSTAT_MOVED_AT_NS = 9,
	VNC_TXSTAT_IRQ_WAKEUPS = 10,
};

enum vnc_rxstat_word {
	VNC_RXSTAT_PORT_WRITES = 0,
	VNC_RXSTAT_PUBLICATIONS = 1,
	VNC_RXSTAT_RING_EMPTY = 2,
	VNC_RXSTAT_SLEEPS = 3,
	VNC_RXSTAT_WAKEUPS_SENT = 4,
	VNC_RXSTAT_WAKEUPS_SUPPRESSED = 5,
	VNC_RXSTAT_VIOL_PROD = 6,
	VNC_RXSTAT_VIOL_LEN = 7,
	VNC_RXSTAT_VIOL_HEADER = 8,
	VNC_RXSTAT_VIOL_SEQ = 9,
	VNC_RXSTAT_LATE_WAKEUPS = 10,
	VNC_RXSTAT_BUSY_NS = 11,
	VNC_RXSTAT_MOVED_AT_NS = 12,
	VNC_RXSTAT_HIGH_WATER = 13,
	VNC_RXSTAT_IRQ_WAKEUPS = 14,
};

enum vnc_link_word {
	VNC_LINK_LINK_UP = 0,
	VNC_LINK_LINK_DOWN = 1,
	VNC_LINK_PEER_RESTART = 2,
	VNC_LINK_PEER_DEAD = 3,
	VNC_LINK_PEER_BACK = 4,
	VNC_LINK_OWN_RESTART = 5,
	VNC_LINK_VIOL_SIDE_BLOCK = 6,
	VNC_LINK_VIOL_FINAL_COUNT = 7,
	VNC_LINK_WINDOW_LOST = 8,
	VNC_LINK_OFFLOAD_REFUSED = 9,
	VNC_LINK_REFUSED = 10,
	VNC_LINK_ENGINE_HALT = 11,
	VNC_LINK_BRAKED = 12,
	VNC_LINK_SUPERBLOCK_RESTORED = 13,
	VNC_LINK_LEDGER_RESTORED = 14,
	VNC_LINK_LEDGER_RESTARTED = 15,
};

#endif
