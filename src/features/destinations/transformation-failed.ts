import { TransformationError } from '../../platform/transformation/transformation.ts'
import { failure, type AttemptResult } from './destination.ts'

/**
 * What the author of a transformation is to see of an error in it. It is nothing that the endpoint is to blame
 * for, and not final: the next attempt may find the transformation mended, or the machine less busy.
 *
 * @throws the error, when it is another one
 */
export function transformationFailed(error: unknown): AttemptResult {
  if (!(error instanceof TransformationError)) throw error
  return failure(`The transformation failed: ${error.message}`, {
    code: 'transformation-failed',
    ownFault: true,
  })
}
