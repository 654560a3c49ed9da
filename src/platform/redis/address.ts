/** Where a Redis, or the nodes of a Redis Cluster, are found. */
export type RedisAddress = { mode: 'single'; url: string } | RedisClusterAddress

export interface RedisClusterAddress {
  mode: 'cluster'
  /** Any of its nodes, at least one: the others are learned from them. */
  nodes: readonly RedisNode[]
  /** These hold for every node, those that are learned too. */
  username: string | undefined
  password: string | undefined
  tls: boolean
}

export interface RedisNode {
  host: string
  port: number
}

const DEFAULT_PORT = 6379

/**
 * Reads one `redis://` or `rediss://` URL, or for a cluster one or several of them with commas between them.
 * Nodes of a cluster share TLS, user and password; the last two need to be in one of the URLs only.
 *
 * @throws Error saying which address is wrong and why, without repeating it: it may hold a password
 */
export function parseRedisAddress(text: string, mode: RedisAddress['mode']): RedisAddress {
  if (mode === 'single') {
    if (/,\s*rediss?:\/\//.test(text))
      throw new Error('several addresses need APP_ENV_WEBSOCKET_REDIS_MODE=cluster.')
    return { mode, url: text }
  }
  const nodes = text.split(',').map((part, index) => parseNode(part.trim(), `address ${index + 1}`))
  const tls = nodes[0]?.tls === true
  const login = nodes.find(({ password }) => password !== undefined)
  for (const { name, ...node } of nodes) {
    if (node.tls !== tls)
      throw new Error(`${name} must begin with ${tls ? 'rediss' : 'redis'}:// as the first does.`)
    if (node.password === undefined) continue
    if (node.password !== login?.password || node.username !== login.username)
      throw new Error(`${name} has another user or password; all nodes share one.`)
  }
  return {
    mode,
    nodes: nodes.map(({ host, port }) => ({ host, port })),
    username: login?.username,
    password: login?.password,
    tls,
  }
}

/** Hosts and ports for people, without user and password. */
export function placeOf(address: RedisAddress): string {
  if (address.mode === 'single') {
    const { hostname, port } = new URL(address.url)
    return `${hostname}:${port || DEFAULT_PORT}`
  }
  return address.nodes
    .map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
    .join(', ')
}

interface ParsedNode extends RedisNode {
  name: string
  username: string | undefined
  password: string | undefined
  tls: boolean
}

function parseNode(text: string, name: string): ParsedNode {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['redis:', 'rediss:'].includes(url.protocol) || url.hostname === '') {
    throw new Error(
      `${name} must be a URL such as redis://10.0.0.1:6379; a comma in a password is written %2C.`,
    )
  }
  if (!/^\/?0?$/.test(url.pathname)) throw new Error(`${name} names a database; a cluster has number 0 only.`)
  if (url.search !== '' || url.hash !== '') throw new Error(`${name} must end after the host and the port.`)
  if (url.username !== '' && url.password === '') throw new Error(`${name} has a user without a password.`)
  return {
    name,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    username: decoded(url.username, name),
    password: decoded(url.password, name),
    tls: url.protocol === 'rediss:',
  }
}

function decoded(text: string, name: string): string | undefined {
  if (text === '') return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error(`${name} has a user or password with a stray %; it is written %25.`)
  }
}
