import { clientNetwork } from '../../../platform/outbound/addresses.ts'

interface Limits {
  maxPerApp: number
  maxPerAddress: number
}

export interface ConnectionLimits {
  /**
   * Counts a live connection, unless its app or its address has as many as it may have.
   *
   * @param address of the client; those of one IPv6 network count as one
   * @returns a function to call when the connection has ended (once more does nothing), or what has too many
   */
  count(appId: string, address: string): (() => void) | 'app' | 'address'
}

/** Limits on the live connections of this process. */
export function createConnectionLimits({ maxPerApp, maxPerAddress }: Limits): ConnectionLimits {
  const perApp = new Map<string, number>()
  const perAddress = new Map<string, number>()

  return {
    count(appId, address) {
      const network = clientNetwork(address)
      if ((perApp.get(appId) ?? 0) >= maxPerApp) return 'app'
      if ((perAddress.get(network) ?? 0) >= maxPerAddress) return 'address'
      add(perApp, appId, 1)
      add(perAddress, network, 1)
      let ended = false
      return () => {
        if (ended) return
        ended = true
        add(perApp, appId, -1)
        add(perAddress, network, -1)
      }
    },
  }
}

/** Nothing is kept of what has no connection. */
function add(counts: Map<string, number>, of: string, change: 1 | -1): void {
  const count = (counts.get(of) ?? 0) + change
  if (count === 0) counts.delete(of)
  else counts.set(of, count)
}
