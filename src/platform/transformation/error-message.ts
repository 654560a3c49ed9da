const MAX_MESSAGE_LENGTH = 500

/**
 * What JSONata says about an error, with the position in the expression, in one line of at most 500 characters.
 *
 * @param error whatever JSONata threw: mostly plain objects, not Errors
 */
export function errorMessage(error: unknown): string {
  const message = textOf(error)
  const where = positionOf(error)
  const room = MAX_MESSAGE_LENGTH - where.length
  const cut = message.length > room ? `${message.slice(0, room - 1)}…` : message
  return (cut + where).replace(/\p{Cc}+/gu, ' ').toWellFormed()
}

function textOf(error: unknown): string {
  if (error instanceof RangeError && error.message.startsWith('Maximum call stack')) {
    return 'It is nested too deep; make it simpler.'
  }
  if (
    typeof error === 'object' &&
    error !== null &&
    'message' in error &&
    typeof error.message === 'string'
  ) {
    return error.message
  }
  return 'The transformation failed.'
}

function positionOf(error: unknown): string {
  if (
    typeof error === 'object' &&
    error !== null &&
    'position' in error &&
    typeof error.position === 'number'
  ) {
    return ` (at character ${error.position})`
  }
  return ''
}
