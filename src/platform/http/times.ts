import { Problem } from './problems.ts'

/**
 * Reads a time of a request.
 *
 * @param name what the client calls it
 * @throws Problem `validation-failed` for one that the format allows and no clock shows, such as a leap second
 */
export function readTime(name: string, text: string): Date {
  const date = new Date(text)
  if (Number.isNaN(date.getTime())) throw new Problem('validation-failed', `${name} is not a time.`)
  return date
}
