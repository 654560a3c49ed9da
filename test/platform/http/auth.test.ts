import Fastify from 'fastify'
import t from 'tap'
import { registerAuth } from '../../../src/platform/http/auth.ts'

t.test('a route says who may call it, with a scope that a feature declares', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  registerAuth(app, {
    adminApiKey: undefined,
    scopes: ['notes:read'],
    findAppKey: async () => undefined,
    authenticateObserver: async () => {},
  })
  const answer = async (): Promise<string> => 'answer'
  t.throws(() => app.get('/none', answer), { message: /GET \/none does not say who may call it/ })
  t.throws(() => app.get('/notes', { config: { access: 'notes:write' } }, answer), {
    message: /GET \/notes: no feature declares the scope "notes:write"/,
  })
  app.get('/notes', { config: { access: 'notes:read' } }, answer)
  t.equal((await app.inject('/notes')).statusCode, 401)
})
