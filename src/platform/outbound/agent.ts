import type { LookupAddress, LookupAllOptions } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, buildConnector } from 'undici'
import { MAX_RECEIVED_BYTES, watchAnswers } from './connection.ts'
import { OutboundError } from './error.ts'

/** Connections open to one origin; several subscriptions may share it. */
export const CONNECTIONS_PER_ORIGIN = 512
const KEEP_ALIVE_MS = 30_000

/** Over the look-up of the name, the connection and the TLS handshake. */
const CONNECT_MS = 10_000

/** Finds all addresses of a name. */
export type Lookup = (
  host: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/**
 * An agent that connects only to addresses that may be reached.
 *
 * @param keepAlive whether connections are used again; otherwise every request has a new one
 * @param maxReceivedBytes of one answer, with all that belongs to it; 128 KiB unless told
 */
export function createAgent(
  mayReach: (address: string) => boolean,
  lookup: Lookup,
  { keepAlive, maxReceivedBytes = MAX_RECEIVED_BYTES }: { keepAlive: boolean; maxReceivedBytes?: number },
): Agent {
  const connector = buildConnector({
    lookup: checkedLookup(mayReach, lookup),
    timeout: CONNECT_MS,
    allowH2: false,
  })
  return new Agent({
    connections: CONNECTIONS_PER_ORIGIN,
    // One request at a time; with 0 a connection ends with its request.
    pipelining: keepAlive ? 1 : 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    // Never reached: beyond it the parser makes an error for each header that is still in the buffer, which takes
    // most of a second.
    maxHeaderSize: 8 * MAX_RECEIVED_BYTES,
    // Each exchange has a connection of its own then, which ends with it where the server misbehaves.
    allowH2: false,
    connect(options, callback) {
      const host = options.hostname.replace(/^\[(.*)\]$/, '$1')
      if (isIP(host) !== 0 && !mayReach(host)) return callback(refusal(host, host), null)
      connector(options, (...result) => {
        if (result[0] === null) watchAnswers(result[1], maxReceivedBytes)
        callback(...result)
      })
    },
  })
}

const refusal = (host: string, address: string): OutboundError =>
  new OutboundError(
    'address-refused',
    host === address
      ? `${address} is not a public address.`
      : `${host} resolves to ${address}, which is not a public address.`,
  )

type LookupCallback = Parameters<Lookup>[2]

/** A look-up that finds only addresses that may be reached. */
function checkedLookup(mayReach: (address: string) => boolean, lookup: Lookup): LookupFunction {
  const waiting = new Map<string, LookupCallback[]>()

  /** Look-ups share a few threads, of which a name whose server does not answer is to hold one at most. */
  function lookUpOnce(host: string, options: LookupAllOptions, callback: LookupCallback): void {
    const others = waiting.get(host)
    if (others !== undefined) return void others.push(callback)
    const callbacks = [callback]
    waiting.set(host, callbacks)
    lookup(host, options, (error, addresses) => {
      waiting.delete(host)
      for (const each of callbacks) each(error, addresses)
    })
  }

  return (host, options, callback) => {
    lookUpOnce(host, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, [])
      const reachable = addresses.filter(({ address }) => mayReach(address))
      const [first] = reachable
      if (first === undefined) callback(refusal(host, addresses[0]?.address ?? 'nothing'), [])
      else if (options.all) callback(null, reachable)
      else callback(null, first.address, first.family)
    })
  }
}
