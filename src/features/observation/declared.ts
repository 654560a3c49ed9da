import { Type } from '@sinclair/typebox'
import type { Declaration } from '../../declaration.ts'
import { milliseconds } from '../../platform/settings.ts'

export const declared = {
  scopes: ['observation:read', 'observation:publish', 'observation:tokens'],
  settings: {
    MAX_OBSERVERS_PER_APP: Type.Integer({
      default: 50_000,
      minimum: 1,
      description: 'Live connections of one app that one process holds.',
    }),
    MAX_OBSERVERS_PER_ADDRESS: Type.Integer({
      default: 10_000,
      minimum: 1,
      description: 'Live connections from one address that one process holds.',
    }),
    OBSERVER_BUFFER_BYTES: Type.Integer({
      default: 1_048_576,
      minimum: 16_384,
      description: 'What may wait for one observer before it is sent away to come back and resume, in bytes.',
    }),
    OBSERVER_HEARTBEAT_MS: milliseconds(
      25_000,
      'How often an observer is told that the connection is alive and, over a WebSocket, asked whether it is, in milliseconds.',
      100,
    ),
    OBSERVER_STALL_MS: milliseconds(
      30_000,
      'How long an observer may read nothing while something waits for it, before it is sent away, in milliseconds.',
      100,
    ),
  },
  topics: {
    /** Ephemeral messages to the observers of rooms. */
    message: 'room.message',
    /** Who enters and leaves rooms. */
    presence: 'presence.changed',
  },
  tags: [
    {
      name: 'Observation',
      description:
        'Rooms that browsers observe live, over WebSocket or server-sent events, with short-lived tokens instead of keys.',
    },
  ],
} as const satisfies Declaration
