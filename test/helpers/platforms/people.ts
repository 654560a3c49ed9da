import type { Answer, Client } from '../service.ts'

const SECRET = `whsec_${Buffer.alloc(32, 5).toString('base64')}`

export interface PlatformUser {
  id: string
  userId: string
  platformConnectionId: string
  [more: string]: unknown
}

/** A connection that nothing is sent through. @returns its id */
export async function idleConnection(client: Client): Promise<string> {
  const answer = await client.post('/platform-connections', {
    platform: 'http',
    name: 'idle',
    settings: { url: 'http://127.0.0.1:9/' },
    credentials: { secret: SECRET },
  })
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.body.id
}

/** Platform users of a connection, each with a user of their own. */
export async function makePeople(
  client: Client,
  platformConnectionId: string,
  count: number,
): Promise<PlatformUser[]> {
  const people: PlatformUser[] = []
  for (let number = 0; number < count; number++) {
    const externalId = `person ${number} ${crypto.randomUUID()}`
    const answer = await client.post('/platform-users', { platformConnectionId, externalId })
    if (answer.status !== 201) throw new Error(answer.text)
    people.push(answer.body)
  }
  return people
}

/** Makes a link code for a platform user. */
export async function makeCode(
  client: Client,
  platformUser: { id: string },
  more: object = {},
): Promise<Answer['body']> {
  const answer = await client.post('/link-codes', { platformUserId: platformUser.id, ...more })
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.body
}

export const activate = (
  client: Client,
  { code }: { code: string },
  platformUser: { id: string },
): Promise<Answer> => client.post('/link-codes/activate', { code, platformUserId: platformUser.id })

/** Has one platform user use a code of another: the user of the first becomes that of the second. */
export async function mergeInto(client: Client, from: PlatformUser, into: PlatformUser): Promise<void> {
  const answer = await activate(client, await makeCode(client, into), from)
  if (answer.status !== 200) throw new Error(answer.text)
}

/** Which user a platform user is of now. */
export const userOf = async (client: Client, { id }: { id: string }): Promise<string> =>
  (await client.get(`/platform-users/${id}`)).body.userId

export const mergedInto = async (client: Client, userId: string): Promise<string | null> =>
  (await client.get(`/users/${userId}`)).body.mergedInto
