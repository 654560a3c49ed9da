import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { compileWhenUsed, type Violation } from '../../platform/json-schema/json-schema.ts'
import { Problem } from '../../platform/http/problems.ts'
import { Text } from '../../platform/http/schemas.ts'
import { webhook } from '../destinations/index.ts'
import { NewEventBody, NewEventType, readEvent, refuseReserved } from '../events/index.ts'
import { Activation, NewLinkCode } from '../identities/index.ts'
import { NewMessage } from '../messages/index.ts'
import { newSubscriptionFields, type SubscriptionSchemas } from '../subscriptions/index.ts'
import { eventNode, nodeOf, requireScope, type GraphContext } from './context.ts'

/** What an argument of GraphQL is called where it is not what REST calls it. */
interface EdgeInput {
  edgeType: string
  targetNodeType: string
  targetNodeId: string
}

type Names = readonly (readonly [RegExp, string])[]

/** Checks what was given as REST checks a body. @throws Problem `validation-failed` */
function checking<S extends TSchema>(schema: S, names: Names = []): (input: object) => Static<S> {
  const check = compileWhenUsed(schema)
  return (input) => {
    const given = Object.fromEntries(
      Object.entries(input).filter(([, value]) => value !== null && value !== undefined),
    )
    const errors = check(given)
    if (errors.length === 0) return given
    throw new Problem(
      'validation-failed',
      'The arguments are not as they should be: see "errors".',
      renamed(errors, names),
    )
  }
}

const renamed = (errors: readonly Violation[], names: Names): Violation[] =>
  errors.map(({ pointer, detail }) => ({
    pointer: names.reduce((text, [form, name]) => text.replace(form, name), pointer),
    detail,
  }))

const checkEvent = checking(NewEventBody, [
  [/^\/type$/, '/eventType'],
  [/^(\/edges\/\d+)\/type$/, '$1/edgeType'],
  [/^(\/edges\/\d+)\/target(Type|Id)$/, '$1/targetNode$2'],
])
const checkMessage = checking(NewMessage)
const checkEventType = checking(NewEventType)
/** What is wrong with the others of the destinations would only be in the way. */
const WebhookSubscription = Type.Unsafe<Static<SubscriptionSchemas['NewSubscription']>>(
  Type.Object(newSubscriptionFields(webhook.settings), { additionalProperties: false }),
)
const SUBSCRIPTION_NAMES: Names = [[/^\/destination\/url$/, '/targetUrl']]
const checkSubscription = checking(WebhookSubscription, SUBSCRIPTION_NAMES)
const checkApplication = checking(
  Type.Object({
    name: Type.Optional(Text(200)),
    config: Type.Optional(
      Type.Object(
        {
          link_code_auto_detect: Type.Optional(
            Type.Union([Type.Literal('enabled'), Type.Literal('disabled')]),
          ),
        },
        { additionalProperties: false },
      ),
    ),
  }),
)
const checkLinkCode = checking(NewLinkCode)
const checkActivation = checking(Activation)

/** Writing, over the services that REST has (SPEC section 2). */
export const mutations = {
  async createEvent(
    _root: unknown,
    args: { eventType: string; payload: unknown; edges?: EdgeInput[] | null; idempotencyKey?: string | null },
    context: GraphContext,
  ) {
    requireScope(context, 'events:write')
    const { services, key } = context
    const { eventType, idempotencyKey, edges, ...rest } = args
    const body = checkEvent({
      ...rest,
      type: eventType,
      edges: edges?.map(({ edgeType, targetNodeType, targetNodeId }) => ({
        type: edgeType,
        targetType: targetNodeType,
        targetId: targetNodeId,
      })),
    })
    const text = JSON.stringify(body)
    const parsed = JSON.parse(text) as typeof body
    const event = readEvent(text, parsed, { maxPayloadBytes: services.config.MAX_PAYLOAD_BYTES })
    refuseReserved(services.eventTypes.globalTypes, key, [event], () => '/eventType')
    const { events } = await services.appender.append(key.appId, [event], keyed(idempotencyKey))
    return nodeOf(context, (events[0] as (typeof events)[0]).event)
  },

  async sendMessage(
    _root: unknown,
    { idempotencyKey, ...input }: { idempotencyKey?: string | null },
    context: GraphContext,
  ) {
    requireScope(context, 'messages:write')
    const { services, key } = context
    const { events } = await services.messageSender.send(
      key.appId,
      checkMessage(input),
      keyed(idempotencyKey).idempotencyKey,
    )
    const { event } = events[0] as (typeof events)[0]
    return { id: event.id, event: nodeOf(context, event) }
  },

  async createEventSchema(_root: unknown, input: object, context: GraphContext) {
    requireScope(context, 'event-types:write')
    return context.services.eventTypes.create(context.key.appId, checkEventType(input))
  },

  async createWebhookSubscription(
    _root: unknown,
    { targetUrl, secret, ...rest }: { targetUrl: string; secret?: string | null },
    context: GraphContext,
  ) {
    requireScope(context, 'subscriptions:write')
    const input = checkSubscription({
      ...rest,
      destination: { type: 'webhook', url: targetUrl },
      secret: secret ?? undefined,
    })
    return context.services.subscriptions.create(context.key.appId, input).catch((error: unknown) => {
      if (!(error instanceof Problem) || !error.errors) throw error
      throw new Problem(error.problem, error.message, renamed(error.errors, SUBSCRIPTION_NAMES))
    })
  },

  async updateApplication(_root: unknown, input: object, context: GraphContext) {
    requireScope(context, 'platform-connections:write')
    const { name, config } = checkApplication(input)
    const detection = config?.link_code_auto_detect
    return context.services.apps.change(context.key.appId, {
      ...(name !== undefined && { name }),
      ...(detection !== undefined && { detectLinkCodes: detection === 'enabled' }),
    })
  },

  async generateLinkCode(_root: unknown, input: object, context: GraphContext) {
    requireScope(context, 'link-codes:write')
    return context.services.linkCodes.generate(context.key.appId, checkLinkCode(input))
  },

  async activateLinkCode(_root: unknown, input: object, context: GraphContext) {
    requireScope(context, 'link-codes:write')
    const activated = await context.services.linkCodes.activate(context.key.appId, checkActivation(input))
    return { ...activated, event: () => eventNode(context, activated.eventId) }
  },
}

function keyed(idempotencyKey: string | null | undefined): { idempotencyKey?: string } {
  if (idempotencyKey === null || idempotencyKey === undefined) return {}
  if (idempotencyKey === '' || idempotencyKey.length > 200 || idempotencyKey.includes('\0')) {
    throw new Problem('validation-failed', 'idempotencyKey takes 1 to 200 characters.')
  }
  return { idempotencyKey }
}
