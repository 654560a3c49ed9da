/** A transformation failed. The message is for the author of the expression. */
export class TransformationError extends Error {
  override name = 'TransformationError'
  /** True when it was not the expression's fault: the same transformation may succeed later. */
  readonly busy: boolean

  constructor(message: string, options: { busy?: boolean } = {}) {
    super(message)
    this.busy = options.busy ?? false
  }
}
