import { Type, type Static } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { appIdOf } from '../../../platform/http/auth.ts'
import { pageOf, pageQuery, pageSize, readCursor } from '../../../platform/http/pagination.ts'
import { bodyAsWritten } from '../../../platform/http/raw-json.ts'
import { BODY_PROBLEMS, ref, responses, Uuid } from '../../../platform/http/schemas.ts'
import { EventType, EventTypeChange, NewEventType } from '../schemas.ts'
import { PLACE_CURSOR, type EventTypeService } from './service.ts'

const tags = ['Event types']
const read = { access: 'event-types:read' as const }
const write = { access: 'event-types:write' as const }
const Id = Type.Object({ id: Uuid() })

/** Named kinds of events and their JSON Schemas (SPEC section 2). */
export const eventTypeRoutes =
  (eventTypes: EventTypeService): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.addSchema(EventType)

    app.post(
      '/event-types',
      {
        config: write,
        schema: {
          tags,
          operationId: 'createEventType',
          summary: 'Create a custom event type',
          description:
            'Do this to have payloads checked against a JSON Schema, or to show events in rooms. Other types need no declaration: they are registered by their first event, unless AUTO_REGISTER_EVENT_TYPES is off. With `enforceValidation` a payload that does not match the schema is refused; without, it is stored and flagged.',
          body: NewEventType,
          response: responses({ 201: ref(EventType) }, [
            ...BODY_PROBLEMS,
            'conflict',
            'reserved-event-type',
            'invalid-schema',
            'too-many-event-types',
          ]),
        },
      },
      async (request, reply) =>
        reply
          .code(201)
          .send(
            await eventTypes.create(
              appIdOf(request),
              bodyAsWritten<Static<typeof NewEventType>>(request, 'jsonSchema'),
            ),
          ),
    )

    app.get(
      '/event-types',
      {
        config: read,
        schema: {
          tags,
          operationId: 'listEventTypes',
          summary: 'List event types: the built-in ones, then custom ones by name',
          description:
            'See which types there are, with their schemas and rooms: for a catalogue, or to check a deployment.',
          querystring: Type.Object(pageQuery, { additionalProperties: false }),
          response: responses({ 200: pageOf(ref(EventType)) }, ['validation-failed', 'invalid-cursor']),
        },
      },
      async (request) => {
        const after = readCursor(request.query.after, PLACE_CURSOR)
        const { rows, pageInfo } = await eventTypes.list(appIdOf(request), pageSize(request.query), after)
        return { data: rows, pageInfo }
      },
    )

    app.get(
      '/event-types/:id',
      {
        config: read,
        schema: {
          tags,
          operationId: 'getEventType',
          summary: 'Read an event type',
          description: 'Look up a type by its id, which each event has as `eventTypeId`.',
          params: Id,
          response: responses({ 200: ref(EventType) }, ['validation-failed', 'not-found']),
        },
      },
      async (request) => eventTypes.get(appIdOf(request), request.params.id),
    )

    app.patch(
      '/event-types/:id',
      {
        config: write,
        schema: {
          tags,
          operationId: 'changeEventType',
          summary: 'Change a custom event type',
          description:
            'Give a type another schema, another description or other rooms. Only what is given changes. Another schema makes a new version; events keep the version they were checked against, and the rooms they are in.',
          params: Id,
          body: EventTypeChange,
          response: responses({ 200: ref(EventType) }, [
            ...BODY_PROBLEMS,
            'not-found',
            'conflict',
            'invalid-schema',
          ]),
        },
      },
      async (request) =>
        eventTypes.change(
          appIdOf(request),
          request.params.id,
          bodyAsWritten<Static<typeof EventTypeChange>>(request, 'jsonSchema'),
        ),
    )

    app.delete(
      '/event-types/:id',
      {
        config: write,
        schema: {
          tags,
          operationId: 'deleteEventType',
          summary: 'Delete a custom event type; its events stay',
          description:
            'For a type that is no longer sent. Events of it stay in the log under its name. Created again, it goes on with the next version of its schema.',
          params: Id,
          response: responses({ 204: Type.Null({ description: 'Deleted' }) }, [
            'validation-failed',
            'not-found',
            'conflict',
          ]),
        },
      },
      async (request, reply) => {
        await eventTypes.remove(appIdOf(request), request.params.id)
        return reply.code(204).send(null)
      },
    )
  }
