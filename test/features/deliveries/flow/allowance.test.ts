import t from 'tap'
import {
  allowanceOf,
  consequenceOf,
  stoppedFor,
  type FeedState,
} from '../../../../src/features/deliveries/flow/allowance.ts'

const stateOf = (state: Partial<FeedState>): FeedState => ({
  flow: null,
  disabled: false,
  deleted: false,
  held_ms: null,
  slot_ms: null,
  ...state,
})
const CAPACITY = { deliveries: 100, requests: 64 }
const BATCHING = { maxEvents: 30 }
const RATE = { requests: 10, perSeconds: 1 }
/** A second and 25 ms in ten. */
const RATE_MS = 102.5

t.test('whether anything may be taken', async (t) => {
  const cases: [string, Partial<FeedState>, number | null | undefined][] = [
    ['a healthy one', {}, undefined],
    ['one that is disabled, when it is enabled', { disabled: true }, null],
    ['one that is held, once that is over', { held_ms: 700 }, 700],
    ['one whose hold is over', { held_ms: -1 }, undefined],
    ['one that is disabled and held', { disabled: true, held_ms: 700 }, null],
    ['one that is deleted, to be ended', { deleted: true, disabled: true, held_ms: 700 }, undefined],
  ]
  for (const [name, state, expected] of cases) t.equal(stoppedFor(stateOf(state)), expected, name)
})

t.test('what may be taken', async (t) => {
  const cases: [string, Partial<FeedState>, object, number?, object?][] = [
    ['as many as there is room for', {}, { deliveries: 100, batchSize: 1, isProbe: false }],
    ['one as a probe', { held_ms: -1 }, { deliveries: 1, isProbe: true }],
    ['full requests', { flow: { batching: BATCHING } }, { deliveries: 120, batchSize: 30 }],
    ['one alone as a probe', { flow: { batching: BATCHING }, held_ms: -1 }, { deliveries: 1, batchSize: 1 }],
    ['eight for each free slot', { flow: { concurrency: 5 } }, { deliveries: 24, slots: 3 }, 2],
    ['nothing without a free slot', { flow: { concurrency: 5 } }, { deliveries: 0, slots: 0 }, 5],
    ['nothing while others hold too many', { flow: { concurrency: 5 } }, { deliveries: 0, slots: 0 }, 9],
    ['no more slots than requests', { flow: { concurrency: 500 } }, { deliveries: 100, slots: 64 }],
    [
      'a second of a rate',
      { flow: { rateLimit: RATE } },
      { deliveries: 10, pace: { startMs: 0, intervalMs: RATE_MS, requests: 10 } },
    ],
    [
      'what is left of that second',
      { flow: { rateLimit: RATE }, slot_ms: 600 },
      { deliveries: 4, pace: { startMs: 600, requests: 4 } },
    ],
    [
      'nothing when the next time is further off',
      { flow: { rateLimit: RATE }, slot_ms: 1_001 },
      { deliveries: 0 },
    ],
    [
      'from now on, when times went by',
      { flow: { rateLimit: RATE }, slot_ms: -9_000 },
      { pace: { startMs: 0 } },
    ],
    [
      'the least of what limits',
      { flow: { rateLimit: RATE, concurrency: 1, batching: BATCHING } },
      { deliveries: 120, slots: 1 },
    ],
    [
      'all of a deleted one, to be ended',
      { deleted: true, flow: { rateLimit: RATE, concurrency: 1 } },
      { deliveries: 100, slots: undefined, pace: undefined },
    ],
    ['no more than there is room for', {}, { deliveries: 3 }, 0, { deliveries: 3, requests: 64 }],
  ]
  for (const [name, state, expected, slotsHeld = 0, capacity = CAPACITY] of cases)
    t.match(allowanceOf(stateOf(state), { ...CAPACITY, ...capacity }, slotsHeld), expected, name)
})

t.test('what follows from what was taken', async (t) => {
  const LEASE_MS = 60_000
  const cases: [string, Partial<FeedState>, { taken: number; waitMs?: number }, object][] = [
    [
      'it is looked at again in case of a crash',
      {},
      { taken: 5 },
      { requests: 5, feedInMs: 1_000, slots: undefined },
    ],
    [
      'or when a request is full',
      { flow: { batching: BATCHING } },
      { taken: 60, waitMs: 250 },
      { requests: 2, feedInMs: 250 },
    ],
    ['slots are held for what is sent', { flow: { concurrency: 5 } }, { taken: 2 }, { slots: 2 }],
    ['and no more than there are', { flow: { concurrency: 5 } }, { taken: 40 }, { slots: 5 }],
    ['none for nothing', { flow: { concurrency: 5 } }, { taken: 0 }, { slots: undefined }],
    [
      'the rate goes on after the last',
      { flow: { rateLimit: RATE } },
      { taken: 4 },
      { slotInMs: 4 * RATE_MS, moreInMs: undefined },
    ],
    [
      'and lets more be taken a second before it',
      { flow: { rateLimit: RATE } },
      { taken: 10 },
      { slotInMs: 10 * RATE_MS, moreInMs: 10 * RATE_MS - 1_000, feedInMs: 10 * RATE_MS - 1_000 },
    ],
    [
      'nothing taken leaves the rate as it is',
      { flow: { rateLimit: RATE } },
      { taken: 0 },
      { slotInMs: undefined },
    ],
    [
      'a probe holds the endpoint for as long as its lease',
      { held_ms: -1 },
      { taken: 1 },
      { heldMs: LEASE_MS },
    ],
    ['a probe that found nothing does not', { held_ms: -1 }, { taken: 0 }, { heldMs: undefined }],
  ]
  for (const [name, state, { taken, waitMs }, expected] of cases)
    t.match(consequenceOf(allowanceOf(stateOf(state), CAPACITY, 0), taken, waitMs, LEASE_MS), expected, name)
})
