/*
 * The link handshake and the index protocol of vnetcard, as a Promela model.
 *
 * Two sides share memory.  Each word has one writer.  Memory is sequentially consistent here, and every
 * access to a shared word is a step of its own: between any two of them the other side may do anything,
 * and either process may be killed.  Local computation is folded into the step that reads or writes.
 *
 * Names: side 0 is the host, side 1 the card.  Direction d is produced by side d and consumed by side
 * 1 - d; h2c is direction 0, c2h is direction 1 (vnetcard/ring/layout.py).  A generation is the pair (own epoch,
 * peer epoch); two generations mirror each other when each is the other one turned round.
 *
 * Size (-D when spin runs):
 *   RESTARTS  how often each side may restart after its first start: killed, stopped cleanly, or a new
 *             epoch taken while alive.  Each side therefore has the epochs 1 .. RESTARTS + 1.
 *   SIZE      records in a ring.
 *   MOD       indices count modulo this; a multiple of SIZE, bigger than SIZE.
 *   C2H       also pump c2h; without it only h2c carries records (the handshake is the same).
 *
 * Broken on purpose (-D; each must make spin find an error): NO_CLEAR, NO_EPOCH_CHECK, EPOCH_CHECK_FIRST,
 * RESET_AFTER_ANSWER, EPOCH_AFTER_INDEX, NO_START_RESET, NO_ANSWER_RESET, NO_JOIN, NO_ANSWER_CHECK,
 * NO_TX_EPOCH_CHECK, REUSE_EPOCH; and for liveness alone DEAF, NO_REANSWER.
 * Harmless variants (-D; must stay without error): REREAD, ANSWERED_FIRST, NO_RX_SHORTCUT, STOP_EPOCH_FIRST.
 * A question: STALE_ENTRY, see there.
 * LENIENT: a pump that finds a violation parks instead of being an error, so that a broken model can go on
 * to deliver the wrong packet.
 */

#ifndef RESTARTS
#define RESTARTS 2
#endif
#ifndef SIZE
#define SIZE 2
#endif
#ifndef MOD
#define MOD 4
#endif

#define PEER   (1 - me)
#define SUB(a, b) (((a) + MOD - (b)) % MOD)     /* a - b for free-running indices */

/* ---- shared memory ------------------------------------------------------------------------------- */

byte epoch[2];          /* [side], written by that side; 0: none */
byte answered[2];       /* [side], written by that side; the peer epoch it has answered; 0: none */
byte prod[2];           /* [direction d], written by side d */
byte cons[2];           /* [direction d], written by side 1 - d */

typedef Record {        /* ghost: which record this is */
    byte own;           /*   generation of its producer: its epoch */
    byte peer;          /*   ... and the peer epoch it had answered */
    byte seq            /*   number in that generation, modulo MOD */
};
typedef Ring { Record slot[SIZE] };
Ring ring[2];           /* [direction d], written by side d */

/* ---- private to a side's process: lost when it dies ------------------------------------------------ */

bool alive[2] = true;   /* false: killed, not started again yet */
bool pumps[2];          /* the control thread lets the pumps begin an iteration */
bool park[2];           /* a pump has seen another peer epoch and asks to leave RUN */
bool tx_busy[2];        /* the producer pump is inside an iteration */
bool rx_busy[2];        /* the consumer pump is inside an iteration */
byte gen_own[2];        /* generation in RUN; 0: not in RUN */
byte gen_peer[2];
byte tx_seq[2];         /* ghost: next record to produce */
byte rx_seq[2];         /* ghost: next record to expect */

/* ---- the environment -------------------------------------------------------------------------------- */

byte last_epoch[2];     /* no epoch is ever used twice by a side; survives its death */
byte restarts[2] = RESTARTS;

/* STALE_ENTRY (question): were both reads that let a side enter RUN true at one moment?  With REREAD or
 * ANSWERED_FIRST they were; without, the peer may restart between the two reads, and answer at once.  That
 * side is then in RUN with a generation that is over.  Properties 1 and 2 hold all the same. */
#ifdef STALE_ENTRY
bool held[2];           /* ghost: both were true when peer.answered was read */
#define OBSERVE held[me] = (epoch[PEER] == answered[me] && answered[PEER] == epoch[me])
#define JUDGE assert(held[me]); held[me] = false
#else
#define OBSERVE skip
#define JUDGE skip
#endif

/* What a pump does that finds indices no honest peer can have, in an epoch that has not changed. */
#ifdef LENIENT
#define VIOLATED park[me] = true
#else
#define VIOLATED assert(false)
#endif

#define RUN(s) (gen_own[s] != 0)
#define MIRRORED (gen_own[0] == gen_peer[1] && gen_own[1] == gen_peer[0])
#define LINKED (RUN(0) && RUN(1) && MIRRORED && pumps[0] && pumps[1])

/* Property 3, "live": once no side restarts any more, both sides come to RUN with mirrored generations
 * and stay there.  Checked with weak fairness: each thread that can take a step takes one in the end. */
#ifdef LIVE
ltl live { <> [] LINKED }
#endif

/* Property 3, "flow": ... and records keep being delivered. */
bool delivering;        /* ghost, only in the flow check */
#ifdef FLOW
ltl flow { [] <> delivering }
#endif

inline forget(s)        /* what a dead process no longer has; also after the pumps were joined */
{
    pumps[s] = false;
    park[s] = false;
    gen_own[s] = 0;
    gen_peer[s] = 0;
    tx_seq[s] = 0;
    rx_seq[s] = 0
}

/* "stops its pumps (joins)".  The side counts as in RUN until the pumps have been joined. */
inline stop_pumps()
{
    pumps[me] = false;
#ifdef NO_JOIN
    d_step { forget(me) }
#else
    d_step { (!tx_busy[me] && !rx_busy[me]) -> forget(me) }
#endif
}

/* "reset the indices it alone writes, one store at a time" */
inline reset_indices()
{
    prod[me] = 0;               /* own prod := 0 */
    cons[PEER] = 0              /* own cons := 0 */
}

/* The control thread of one side: start, handshake, supervision, clean stop. */
proctype ctl(byte me)
{
    byte p;                     /* the peer epoch just read */

START:
    {
        /* -- start / restart -- */
#ifdef EPOCH_AFTER_INDEX
        reset_indices();        /* BROKEN: before the epoch says so */
#endif
#ifndef NO_CLEAR
        answered[me] = 0;       /* start: answered := 0 */
#endif
        /* start: THEN epoch := new epoch, different from all its earlier ones */
        d_step {
#ifndef REUSE_EPOCH
            last_epoch[me]++;
#else
            last_epoch[me] = 1;     /* BROKEN: the same epoch again */
#endif
            epoch[me] = last_epoch[me]
        };
#if !defined(EPOCH_AFTER_INDEX) && !defined(RESET_AFTER_ANSWER) && !defined(NO_START_RESET)
        reset_indices();        /* start: THEN reset own indices */
#endif
        /* start: THEN read the peer's epoch; again while it is 0 */
        do
        :: atomic { (epoch[PEER] != 0) -> p = epoch[PEER]; break }
        :: atomic { restarts[me] > 0 -> restarts[me]--; goto CLEAN_STOP }
        od;
        atomic { answered[me] = p; p = 0 };     /* start: answered := the peer's epoch */
#ifdef RESET_AFTER_ANSWER
        reset_indices();        /* BROKEN: the peer may be in RUN by now */
#endif

        /* -- handshake -- */
WAIT:
        do
#ifdef ANSWERED_FIRST
        :: atomic {             /* variant: peer.answered first, then peer.epoch */
               answered[PEER] == epoch[me] -> OBSERVE
           };
           atomic {
               if
               :: epoch[PEER] == answered[me] -> goto ENTER
               :: epoch[PEER] == 0 -> skip
               :: else -> p = epoch[PEER]; goto ANSWER
               fi
           }
        :: atomic { (epoch[PEER] != 0 && epoch[PEER] != answered[me]) -> p = epoch[PEER]; goto ANSWER }
#else
        :: atomic {             /* read peer.epoch */
               if
               :: epoch[PEER] == 0 -> goto WAIT                 /* peer stopped: wait */
#ifndef NO_REANSWER
               :: epoch[PEER] != 0 && epoch[PEER] != answered[me] -> p = epoch[PEER]; goto ANSWER
#endif
               :: else -> skip
               fi
           };
           atomic {             /* == answered: read peer.answered */
               if
#ifdef NO_ANSWER_CHECK
               :: true -> skip  /* BROKEN: own answer is taken for the peer's */
#else
               :: answered[PEER] == epoch[me] -> OBSERVE
#endif
               :: answered[PEER] != epoch[me] -> goto WAIT
               fi
           };
#ifdef REREAD
           atomic {             /* variant: read peer.epoch once more */
               if
               :: epoch[PEER] == answered[me] -> goto ENTER
               :: epoch[PEER] != answered[me] -> goto WAIT
               fi
           }
#else
           goto ENTER
#endif
#endif
        :: atomic { restarts[me] > 0 -> restarts[me]--; goto CLEAN_STOP }
        od;

        /* -- another peer epoch: reset own prod and cons, THEN answered := that epoch; own epoch kept -- */
ANSWER:
#if !defined(RESET_AFTER_ANSWER) && !defined(NO_ANSWER_RESET)
        reset_indices();
#endif
        atomic { answered[me] = p; p = 0 };
#ifdef RESET_AFTER_ANSWER
        reset_indices();        /* BROKEN: the peer may be in RUN by now */
#endif
        goto WAIT;

        /* -- RUN with generation (own epoch, peer epoch) -- */
ENTER:
        atomic {
            JUDGE;
            gen_own[me] = epoch[me];
            gen_peer[me] = answered[me];
            pumps[me] = true;
            /* Property 1: never RUN on both sides with generations that do not mirror each other. */
            assert(!RUN(PEER) || MIRRORED)
        };
        do
#ifndef DEAF
        :: atomic { (epoch[PEER] != answered[me]) -> break }   /* supervision: read peer.epoch */
#endif
        :: atomic { park[me] -> break }                         /* a pump has parked */
        :: atomic { restarts[me] > 0 -> restarts[me]--; goto CLEAN_STOP }
        :: atomic { restarts[me] > 0 -> restarts[me]--; goto NEW_EPOCH }
        od;
        stop_pumps();           /* leave RUN */
        goto WAIT;              /* which reads peer.epoch again, and answers it unless it is 0 */

        /* -- alive, but takes a new epoch (the answer to a violation) -- */
NEW_EPOCH:
        stop_pumps();
        goto START;

        /* -- clean stop: stop pumps, answered := 0, epoch := 0; started again some time later -- */
CLEAN_STOP:
        stop_pumps();
#ifdef STOP_EPOCH_FIRST
        epoch[me] = 0;          /* variant: the other order */
        answered[me] = 0;
#else
        answered[me] = 0;
        epoch[me] = 0;
#endif
        goto START
    } unless {
        /* -- killed: shared words keep what was stored; everything private is lost -- */
        (!alive[me]);
        d_step { (!tx_busy[me] && !rx_busy[me]) -> p = 0; alive[me] = true }
    };
    goto START
}

/* The producer pump of one side, in RUN.  Each pass of the loop is one iteration. */
proctype tx(byte me)
{
HEAD:
    {
        do
        :: atomic {             /* tx: read the peer's cons */
               (pumps[me] && !park[me] && SUB(prod[me], cons[me]) != SIZE) ->
               tx_busy[me] = true;
               if
               :: SUB(prod[me], cons[me]) > SIZE -> goto VIOLATION
               :: else -> skip
               fi
           };
           d_step {             /* tx: write the record */
               ring[me].slot[prod[me] % SIZE].own = gen_own[me];
               ring[me].slot[prod[me] % SIZE].peer = gen_peer[me];
               ring[me].slot[prod[me] % SIZE].seq = tx_seq[me]
           };
           d_step {             /* tx: THEN prod++; the iteration ends */
               prod[me] = (prod[me] + 1) % MOD;
               tx_seq[me] = (tx_seq[me] + 1) % MOD;
               tx_busy[me] = false
           };
           goto HEAD;
VIOLATION:
           atomic {             /* tx: prod - cons > size: re-read peer epoch; changed -> park */
#ifndef NO_TX_EPOCH_CHECK
               if
               :: epoch[PEER] != gen_peer[me] -> park[me] = true
               :: else -> VIOLATED
               fi;
#else
               VIOLATED;
#endif
               tx_busy[me] = false
           }
        od
    } unless {
        d_step { (!alive[me] && tx_busy[me]) -> tx_busy[me] = false }
    };
    goto HEAD
}

/* The consumer pump of one side, in RUN. */
proctype rx(byte me)
{
    byte snap;                  /* the peer's prod, as read */
    byte pos;                   /* next record to deliver */

HEAD:
    {
        do
        :: atomic {             /* rx: snapshot the peer's prod */
#ifdef NO_RX_SHORTCUT
               (pumps[me] && !park[me]) ->
#else
               (pumps[me] && !park[me] && prod[PEER] != cons[PEER]) ->
#endif
#ifdef EPOCH_CHECK_FIRST
               (epoch[PEER] == gen_peer[me]) ->         /* BROKEN: before the snapshot */
#endif
               rx_busy[me] = true;
#ifndef EPOCH_CHECK_FIRST
               snap = prod[PEER];
#endif
               pos = cons[PEER]
           };
           atomic {             /* rx: THEN re-read the peer's epoch; changed -> park */
#ifdef EPOCH_CHECK_FIRST
               snap = prod[PEER];
#endif
               if
#if !defined(NO_EPOCH_CHECK) && !defined(EPOCH_CHECK_FIRST)
               :: epoch[PEER] != gen_peer[me] -> park[me] = true; goto DONE
               :: epoch[PEER] == gen_peer[me] && SUB(snap, pos) > SIZE -> VIOLATED; goto DONE
               :: epoch[PEER] == gen_peer[me] && SUB(snap, pos) <= SIZE -> skip
#else
               :: SUB(snap, pos) > SIZE -> VIOLATED; goto DONE
               :: else -> skip
#endif
               fi
           };
           do
           :: d_step {          /* rx: deliver one record up to the snapshot */
                  pos != snap ->
                  /* Property 2: never a packet of another generation; none lost, none twice, in order */
                  assert(ring[PEER].slot[pos % SIZE].own == gen_peer[me]);
                  assert(ring[PEER].slot[pos % SIZE].peer == gen_own[me]);
                  assert(ring[PEER].slot[pos % SIZE].seq == rx_seq[me]);
                  pos = (pos + 1) % MOD;
                  rx_seq[me] = (rx_seq[me] + 1) % MOD
              }
           :: d_step {          /* rx: THEN cons := snapshot */
                  pos == snap ->
                  cons[PEER] = snap;
#ifdef FLOW
                  delivering = true;
#endif
              };
              break
           od;
#ifdef FLOW
           delivering = false;
#endif
DONE:
           atomic { snap = 0; pos = 0; rx_busy[me] = false }    /* the iteration ends */
        od
    } unless {
        d_step { (!alive[me] && rx_busy[me]) -> snap = 0; pos = 0; rx_busy[me] = false; delivering = false }
    };
    goto HEAD
}

/* Kills either side's process at any point, while it may still restart. */
proctype reaper()
{
end:
    do
    :: d_step { (alive[0] && restarts[0] > 0) -> restarts[0]--; alive[0] = false; forget(0) }
    :: d_step { (alive[1] && restarts[1] > 0) -> restarts[1]--; alive[1] = false; forget(1) }
    od
}

init {
    atomic {
        run ctl(0);
        run ctl(1);
        run tx(0);              /* h2c */
        run rx(1);
#ifdef C2H
        run tx(1);              /* c2h */
        run rx(0);
#endif
        run reaper()
    }
}
