import {
  type Download,
  drop,
  type Fetching,
  type IncomingAttachment,
  isObject,
  jsonOf,
  NoContentError,
  textOf,
  type WantedAttachment,
} from 'heliograph/extension'

/** Where Slack keeps files; it wants the token there too. */
const FILES_ORIGIN = 'https://files.slack.com'
const GONE = new Set(['file_not_found', 'file_deleted'])
const MAX_ANSWER_BYTES = 65_536

export const filesOf = (files: unknown): IncomingAttachment[] =>
  (Array.isArray(files) ? files : []).filter(isObject).map((file) => ({
    externalId: file['id'],
    name: file['name'],
    mimeType: file['mimetype'],
    sizeBytes: file['size'],
    url: addressOf(file),
  }))

const addressOf = (file: Record<string, unknown>): unknown =>
  file['url_private_download'] ?? file['url_private']

/** Of a file that another workspace shares, the message tells no more than the id: Slack is asked for the rest. */
export async function fetchFile(
  { externalId, url, mimeType }: WantedAttachment,
  token: string,
  apiUrl: string,
  get: Fetching['get'],
): Promise<Download> {
  const credentials = {
    origins: [new URL(apiUrl).origin, FILES_ORIGIN],
    headers: { authorization: `Bearer ${token}` },
  }

  async function lookUp(): Promise<string> {
    const answer = await get(`${apiUrl}/api/files.info?file=${encodeURIComponent(externalId)}`, credentials)
    const { file, error } = jsonOf(await textOf(answer, MAX_ANSWER_BYTES))
    const address = isObject(file) ? addressOf(file) : undefined
    if (typeof address === 'string') return address
    const reason = typeof error === 'string' ? `: ${error}` : ''
    throw new NoContentError(`Slack answered ${answer.status}${reason}.`, { isGone: GONE.has(String(error)) })
  }

  const download = await get(url ?? (await lookUp()), credentials)
  const isPage = download.status === 200 && /^text\/html\b/i.test(download.contentType ?? '')
  if (!isPage || /^text\/html\b/i.test(mimeType ?? '')) return download
  drop(download.body)
  throw new NoContentError('Slack answered with a page: the token of the bot needs the scope files:read.')
}
