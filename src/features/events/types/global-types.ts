import { idForName } from '../../../platform/ids.ts'
import { WebSocketRooms, WebSocketTopics } from '../../../platform/rooms/names.ts'
import { ACTIVATION, CODE, INBOUND, MERGE, OUTBOUND, REPORT, SKIPPED } from './global-schemas.ts'
import type { DeclaredRooms } from './rooms.ts'

/** A type that every app has. */
export interface GlobalType extends DeclaredRooms {
  id: string
  name: string
  description: string
  domain: string
  /** Payloads that do not match are flagged, never refused. */
  jsonSchema: object | null
}

const type = (
  name: string,
  domain: string,
  description: string,
  jsonSchema: object | null = null,
  { topic, rooms }: DeclaredRooms = { topic: null, rooms: [] },
): GlobalType => ({ id: idForName(name), name, description, domain, jsonSchema, topic, rooms })

const INQUIRIES = WebSocketRooms.build({ paths: ['outreach', 'inquiries'] })

/** The types of SPEC sections 2, 5 and 6. Their ids follow from their names, so they are the same everywhere. */
const ALL: readonly GlobalType[] = [
  type('message.inbound', 'message', 'A platform user sent a message.', INBOUND),
  type('message.outbound', 'message', 'A message is to be sent to a platform user.', OUTBOUND),
  type('message.delivered', 'message', 'The platform says that a message arrived.', REPORT),
  type('message.read', 'message', 'The platform says that a message was read.', REPORT),
  type('message.failed', 'message', 'A message could not be sent, or did not arrive.', REPORT),
  type('link_code.generated', 'link_code', 'A code that links two platform users was made.', CODE),
  type('link_code.activation', 'link_code', 'A link code was used.', ACTIVATION),
  type('user.merged', 'user', 'Two users turned out to be one.', MERGE),
  type('contact.created', 'crm', 'A contact was created.'),
  type('email.opened', 'crm', 'A recipient opened an email.'),
  type('email.clicked', 'crm', 'A recipient followed a link in an email.'),
  type('appointment.booked', 'crm', 'An appointment was booked.'),
  type('tag.added', 'crm', 'A tag was put on a contact.'),
  type('order.placed', 'storefront', 'An order was placed.'),
  type('payment.succeeded', 'storefront', 'A payment went through.'),
  type('payment.failed', 'storefront', 'A payment did not go through.'),
  type('chat.queue_notification', 'chat', 'Somebody waits in a chat queue.'),
  type('event.reminder', 'calendar', 'A calendar event is near.'),
  type('transfer.initiated', 'banking', 'A transfer was started.'),
  type('transfer.settled', 'banking', 'A transfer was settled.'),
  type('inquiry.submitted', 'outreach', 'Somebody sent the contact form.', null, {
    topic: WebSocketTopics.build({ paths: ['observation', 'outreach', 'inquiry', 'submitted'] }),
    rooms: [INQUIRIES, `${INQUIRIES}/{payload.id}`],
  }),
  ...['collection', 'user', 'org', 'site'].flatMap((record) => [
    type(`system.${record}.create`, 'system', `A record of ${record}s was created.`),
    type(`system.${record}.update`, 'system', `A record of ${record}s was changed.`),
    type(`system.${record}.delete`, 'system', `A record of ${record}s was deleted.`),
  ]),
  type('system.subscription.failing', 'system', 'The endpoint of a subscription fails again and again.'),
  type('system.subscription.disabled', 'system', 'A subscription was disabled.'),
  type('system.subscription.recovered', 'system', 'The endpoint of a subscription that failed works again.'),
  type('system.platform.skipped', 'system', 'A platform sent what is no message and no report.', SKIPPED),
  type('system.collection.publish', 'system', 'A record of collections was published.'),
  type('system.collection.approve', 'system', 'A record of collections was approved.'),
]

export const GLOBAL_TYPES: ReadonlyMap<string, GlobalType> = new Map(ALL.map((entry) => [entry.name, entry]))

export const isGlobalType = (name: string): boolean => GLOBAL_TYPES.has(name)

/** What custom types may not begin with, and clients may not append. */
const RESERVED = ['message.', 'user.', 'system.', 'link_code.']

/** The same in words. */
export const RESERVED_PREFIXES = 'message., user., system. or link_code.'

export const isReserved = (name: string): boolean => RESERVED.some((prefix) => name.startsWith(prefix))

/** Built-in types of other names that, too, tell what only the service itself does. */
export const OWN_TYPES: readonly string[] = ['inquiry.submitted']

/** Whether only the service itself appends events of a type. */
export const isOwnType = (name: string): boolean => isReserved(name) || OWN_TYPES.includes(name)
