/**
 * Units that one evaluation may spend. A unit is about one simple keyword that holds: mostly 5 to 20 ns, and
 * 33 ns at worst, measured over schemas and payloads that are slow on purpose on 2 slow cores. So the worst
 * evaluation ends after a third of a second of processor time, and 60,000 numbers can pass 75 subschemas each.
 */
const UNITS = 10_000_000

/** An error of Ajv's is an object with three texts. Kept, in a list that grows, it takes up to 1 microsecond. */
export const UNITS_PER_ERROR = 40

/** One of an alternative, which is mostly thrown away with the others when one of them holds. */
export const UNITS_PER_PASSING_ERROR = 12

/** Each subschema costs one unit more for so many errors (as a power of two) that are held at that time. */
const HELD_ERRORS_SHIFT = 8

/** A step over a member, of an object so large that it is a hash table. */
export const UNITS_PER_MEMBER = 20

/** Adding a name to those that were evaluated. */
export const UNITS_PER_MERGE = 10

/** Thrown out of an evaluation that has spent its budget. */
export class BudgetSpent extends Error {
  override name = 'BudgetSpent'
}

/**
 * What one evaluation of a schema may still cost. The compiled schema spends while it runs, by what it has
 * to do and not by the clock, so that a value gets the same answer at any load; only patterns, which nothing
 * but the clock can tell apart, get back what they did not take.
 */
export class EvaluationBudget {
  #left = 0
  #errorsPaid = 0

  /** To be called before each evaluation. */
  renew(): void {
    this.#left = UNITS
  }

  /** @throws BudgetSpent when there is not as much left */
  spend(units: number): void {
    this.#left -= units
    if (this.#left < 0) throw new BudgetSpent()
  }

  /** Takes back what was spent in advance. */
  giveBack(units: number): void {
    this.#left += units
  }

  /**
   * Pays for a subschema. Errors that are held make it dearer, so that they cannot fill the memory.
   *
   * @param errors that the function which evaluates it holds
   */
  enter(units: number, errors: number): void {
    this.spend(units + (errors >> HELD_ERRORS_SHIFT))
    if (errors < this.#errorsPaid) this.#errorsPaid = errors
  }

  /** Pays for the errors of a function that were not paid for yet. */
  payErrors(errors: number, each: number): void {
    if (errors > this.#errorsPaid) this.spend((errors - this.#errorsPaid) * each)
    this.#errorsPaid = errors
  }

  /** A function begins, or goes on after a call: so many errors are its own and paid for. */
  settle(errors: number): void {
    this.#errorsPaid = errors
  }

  /**
   * Pays for a walk over the members of an object.
   *
   * @param each units per member
   * @param perName how often the name of a member is copied into a pointer; only long names cost something
   */
  spendOnMembers(value: object, each: number, perName: number): void {
    const names = Object.keys(value)
    this.spend(names.length * (each + UNITS_PER_MEMBER))
    if (perName > 0) for (const name of names) if (name.length > 63) this.spend((name.length >> 6) * perName)
  }

  /** Pays for merging the names of members that a subschema has evaluated. */
  spendOnNames(evaluated: object | true | undefined): void {
    if (typeof evaluated === 'object') this.spendOnMembers(evaluated, UNITS_PER_MERGE, 0)
  }

  /** Pays for a copy of a list of errors. */
  spendOnCopy(errors: readonly unknown[] | null): void {
    this.spend((errors?.length ?? 0) >> 3)
  }

  /** The errors of before with those of a reference added, in place. */
  joined<Failure>(before: Failure[] | null, added: Failure[] | null): Failure[] | null {
    if (before === null || added === null) return before ?? added
    this.spend(added.length >> 1)
    for (const error of added) before.push(error)
    return before
  }
}
