import { Type } from '@sinclair/typebox'
import {
  type AttemptResult,
  destinationKind,
  destinationUrl,
  fitted,
  LONE_BACKTICK,
  type OutboundResponse,
  type OwedEvent,
  postJson,
  titledBlock,
  transformed,
  Url,
} from 'heliograph/extension'

/** Slack cuts a text there. */
const MAX_TEXT_LENGTH = 40_000
/** Slack splits a longer text into several messages, which would tear the block of code. */
const MAX_DEFAULT_LENGTH = 4_000

/** What Slack says of a webhook that was removed, of a workspace that is gone and of an archived channel. */
const GONE = new Set(['no_service', 'no_team', 'channel_is_archived'])

/** These characters begin mentions and links. */
const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '`': LONE_BACKTICK }

/** An incoming webhook of Slack, or of anything that takes the same requests. */
export const slack = destinationKind({
  settings: Type.Object(
    {
      type: Type.Literal('slack'),
      url: Url({
        description: 'The incoming webhook, of Slack or of a server that is compatible, such as Mattermost.',
        examples: ['https://hooks.slack.com/services/T000/B000/XXXX'],
      }),
    },
    { additionalProperties: false },
  ),
  hidden: ['url'],
  check: (settings) => ({ ...settings, url: destinationUrl(settings.url) }),
  connect: ({ http, transform }) => ({
    async send(event, { settings, transformation }, attempt) {
      const url = settings['url'] as string
      if (transformation === null) {
        return postJson(http, { url, body: textBody(defaultText(event)), attempt }, judge)
      }
      const made = await transformed(transform, transformation, event)
      if ('failed' in made) return made.failed
      const body = 'json' in made ? made.json : textBody(fitted(made.text, MAX_TEXT_LENGTH))
      return postJson(http, { url, body, attempt }, judge)
    },
  }),
})

const textBody = (text: string): string => JSON.stringify({ text })

const defaultText = ({ type, payload }: OwedEvent): string =>
  titledBlock(`*${type}*`, payload, MAX_DEFAULT_LENGTH, (character) => ESCAPES[character] ?? character)

/** Slack says in one word what is wrong. */
function judge({ status, body }: OutboundResponse): Partial<AttemptResult> {
  const code = /^[a-z_]{1,100}$/.exec(body.trim())?.[0]
  return {
    error: `The server answered ${status}${code === undefined ? '' : `: ${code}`}.`,
    code,
    ...((status === 410 || (code !== undefined && GONE.has(code))) && { final: true, gone: true }),
  }
}
