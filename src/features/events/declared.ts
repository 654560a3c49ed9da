import { Type } from '@sinclair/typebox'
import type { Declaration, EventTypeDeclaration } from '../../declaration.ts'

/** What becomes of the records of other systems (SPEC section 6). */
const RECORD_TYPES: readonly EventTypeDeclaration[] = [
  ...['collection', 'user', 'org', 'site'].flatMap((record) => [
    { name: `system.${record}.create`, domain: 'system', description: `A record of ${record}s was created.` },
    { name: `system.${record}.update`, domain: 'system', description: `A record of ${record}s was changed.` },
    { name: `system.${record}.delete`, domain: 'system', description: `A record of ${record}s was deleted.` },
  ]),
  {
    name: 'system.collection.publish',
    domain: 'system',
    description: 'A record of collections was published.',
  },
  {
    name: 'system.collection.approve',
    domain: 'system',
    description: 'A record of collections was approved.',
  },
]

export const declared = {
  scopes: ['events:read', 'events:write', 'events:import', 'event-types:read', 'event-types:write'],
  scopesOnRequest: ['events:import'],
  settings: {
    AUTO_REGISTER_EVENT_TYPES: Type.Boolean({
      default: true,
      description:
        'Whether appending an event of an unknown custom type registers the type. false: such an event is refused.',
    }),
    MAX_PAYLOAD_BYTES: Type.Integer({
      default: 262_144,
      minimum: 1024,
      maximum: 16_777_216,
      description: 'Largest payload of one event, in bytes of JSON.',
    }),
    MAX_BATCH_BYTES: Type.Integer({
      default: 16_777_216,
      minimum: 1024,
      maximum: 134_217_728,
      description: 'Largest body of POST /events/batch, in bytes.',
    }),
  },
  eventTypes: [
    ...RECORD_TYPES,
    { name: 'contact.created', domain: 'crm', description: 'A contact was created.' },
    { name: 'email.opened', domain: 'crm', description: 'A recipient opened an email.' },
    { name: 'email.clicked', domain: 'crm', description: 'A recipient followed a link in an email.' },
    { name: 'appointment.booked', domain: 'crm', description: 'An appointment was booked.' },
    { name: 'tag.added', domain: 'crm', description: 'A tag was put on a contact.' },
    { name: 'order.placed', domain: 'storefront', description: 'An order was placed.' },
    { name: 'payment.succeeded', domain: 'storefront', description: 'A payment went through.' },
    { name: 'payment.failed', domain: 'storefront', description: 'A payment did not go through.' },
    { name: 'chat.queue_notification', domain: 'chat', description: 'Somebody waits in a chat queue.' },
    { name: 'event.reminder', domain: 'calendar', description: 'A calendar event is near.' },
    { name: 'transfer.initiated', domain: 'banking', description: 'A transfer was started.' },
    { name: 'transfer.settled', domain: 'banking', description: 'A transfer was settled.' },
  ],
  reservedPrefixes: ['system.'],
  topics: {
    /** The apps whose log grew. */
    grew: 'log.grew',
  },
  tags: [
    {
      name: 'Events',
      description:
        'What happened, appended once and never changed. Begin here: append an event, read it back, watch the log live.',
    },
    {
      name: 'Event types',
      description:
        'Names and JSON Schemas of events, built-in and your own. A type is needed only to have payloads checked, or events shown in rooms.',
    },
  ],
} as const satisfies Declaration
