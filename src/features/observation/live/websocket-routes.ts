import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { ServerResponse } from 'node:http'
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { Type } from '@sinclair/typebox'
import { OBSERVER_SECURITY } from '../../../platform/http/openapi.ts'
import type { RawData, WebSocket } from 'ws'
import { Problem } from '../../../platform/http/problems.ts'
import { responses } from '../../../platform/http/schemas.ts'
import { grantOf } from '../access/authenticate.ts'
import { Session, type SessionDeps } from './websocket-session.ts'

/** How long an observer has to answer a ping: a part of the time between two of them, and at most. */
const PONG = { share: 0.4, mostMs: 10_000 }

/** `GET /observation/ws`: rooms over one WebSocket (SPEC sections 4 and 9, docs/observation.md). */
export const websocketRoutes =
  (deps: SessionDeps, counting: onRequestAsyncHookHandler): FastifyPluginAsyncTypebox =>
  async (app) => {
    const sessions = new Map<WebSocket, Session>()
    const answers = new WeakMap<FastifyRequest, ServerResponse>()
    let checking: NodeJS.Timeout | undefined

    const heartbeat = setInterval(() => {
      for (const session of sessions.values()) session.ping()
      checking = setTimeout(
        () => {
          for (const session of sessions.values()) if (!session.isAlive()) session.end('silent')
        },
        Math.min(deps.heartbeatMs * PONG.share, PONG.mostMs),
      )
    }, deps.heartbeatMs)

    app.addHook('preClose', async () => {
      clearInterval(heartbeat)
      clearTimeout(checking)
      const { size } = sessions
      for (const session of sessions.values()) session.end('stopping', size)
    })

    // One function for all sockets: one for each would be memory of every connection.
    function terminate(this: WebSocket): void {
      this.terminate()
    }
    function heard(this: WebSocket, data: RawData, isBinary: boolean): void {
      sessions.get(this)?.heard(data as Buffer, isBinary)
    }
    function heardPing(this: WebSocket, data: Buffer): void {
      sessions.get(this)?.heardPing(data)
    }
    function heardPong(this: WebSocket): void {
      sessions.get(this)?.heardPong()
    }

    /** What the library keeps of a request, some kilobytes, would otherwise stay as long as the socket. */
    function letGoOfRequest(socket: WebSocket, request: FastifyRequest): void {
      answers.get(request)?.detachSocket(request.raw.socket)
      socket.removeAllListeners('error')
      socket.on('error', terminate)
    }

    app.route({
      method: 'GET',
      url: '/observation/ws',
      config: { access: 'observer' },
      onRequest: [counting, async (request, reply) => void answers.set(request, reply.raw)],
      schema: {
        tags: ['Observation'],
        security: OBSERVER_SECURITY,
        operationId: 'observeOverWebSocket',
        summary: 'Observe rooms (WebSocket)',
        description:
          'For pages that join and leave rooms as they go, publish or are present. One connection for many rooms. The frames are in the AsyncAPI document (`/asyncapi.json`) and in docs/observation.md.',
        querystring: Type.Object({
          token: Type.Optional(
            Type.String({ maxLength: 8_192, description: 'An observer token; never an API key.' }),
          ),
        }),
        response: responses({ 101: Type.Null({ description: 'A WebSocket from here on.' }) }, [
          'unauthorized',
          'forbidden',
          'too-many-connections',
          'upgrade-required',
        ]),
      },
      handler() {
        throw new Problem('upgrade-required', 'Connect with a WebSocket, or use GET /observation/sse.')
      },
      wsHandler(socket, request) {
        const started = performance.now()
        const grant = grantOf(request)
        const { id: reqId } = request
        letGoOfRequest(socket, request)
        sessions.set(socket, new Session(deps, socket, request.raw.socket, grant))
        socket.on('message', heard)
        socket.on('ping', heardPing)
        socket.on('pong', heardPong)
        socket.on('close', (code) => {
          sessions.delete(socket)
          const seconds = Math.round((performance.now() - started) / 1000)
          deps.log.info({ reqId, appId: grant.appId, transport: 'websocket', seconds, code }, 'observer left')
        })
      },
    })
  }
