/** What one phase of a few seconds gave, by the name of the metric. */
export type Figures = Record<string, number>

export interface Metric {
  name: string
  better: 'more' | 'less'
}

export interface Spread {
  median: number
  min: number
  max: number
}

/** One metric of one case, beside its control. */
export interface Row extends Metric {
  control: Spread
  measured: Spread
  /** Measured by control, pair by pair. */
  ratio: Spread
}

/** One thing that was measured and what it was measured against. */
export interface Case {
  title: string
  control: string
  rows: Row[]
}

export interface Comparison {
  title: string
  metrics: readonly Metric[]
  control: { words: string; run: () => Promise<Figures> }
  run: () => Promise<Figures>
}

/** How many pairs a comparison has. */
export const PAIRS = 3

/**
 * Runs the control and the measured phase in turn, so that whatever else the machine is doing meets both,
 * and relates each measured phase to the control just before it.
 */
export async function compare(
  { title, metrics, control, run }: Comparison,
  say: (text: string) => void,
): Promise<Case> {
  const pairs: { control: Figures; measured: Figures }[] = []
  for (let pair = 1; pair <= PAIRS; pair++) {
    say(`${title}: ${pair} of ${PAIRS}`)
    pairs.push({ control: await control.run(), measured: await run() })
  }
  const rows = metrics.map(({ name, better }): Row => {
    const values = pairs.map((pair) => [figure(pair.control, name), figure(pair.measured, name)] as const)
    return {
      name,
      better,
      control: spread(values.map(([of]) => of)),
      measured: spread(values.map(([, of]) => of)),
      ratio: spread(values.map(([by, of]) => of / by)),
    }
  })
  return { title, control: control.words, rows }
}

const figure = (figures: Figures, name: string): number => figures[name] ?? Number.NaN

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const low = sorted[Math.floor(middle)] as number
  const high = sorted[Math.ceil(middle)] as number
  return { median: (low + high) / 2, min: sorted[0] as number, max: sorted.at(-1) as number }
}
