import type { Test } from 'tap'
import type {
  AttemptResult,
  DestinationSettings,
  OwedEvent,
} from '../../src/features/destinations/destination.ts'
import { email } from '../../src/packs/email/destination.ts'
import { attempt, destinationServices, owedEvent, targetOf } from './destinations.ts'

const FROM = 'Heliograph <events@helio.example>'
interface Given extends Partial<OwedEvent> {
  settings?: Partial<DestinationSettings>
  transformation?: string
  timeoutMs?: number
}

/**
 * Sends as the e-mail destination does, through a server.
 *
 * @param server such as `127.0.0.1:2525` with what else belongs into the URL
 */
export function connectEmail(t: Test, server: string, protocol = 'smtp') {
  const destination = email.connect(destinationServices(t), {
    SMTP_URL: `${protocol}://${server}`,
    MAIL_FROM: FROM,
  })
  return ({ settings, transformation, timeoutMs, ...event }: Given = {}): Promise<AttemptResult> =>
    destination.send(
      owedEvent(event),
      targetOf({ type: 'email', to: ['ada@example.com'], ...settings }, transformation ?? null),
      attempt(timeoutMs === undefined ? {} : { timeoutMs }),
    )
}
