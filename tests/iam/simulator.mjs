// Answers simulations, one JSON document a line, with the simulator's verdicts.
// Started in the folder where npm has installed the simulator.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { createInterface } from 'node:readline'

const require = createRequire(process.cwd() + '/')
const { runSimulation } = await import(pathToFileURL(require.resolve('@cloud-copilot/iam-simulate')))

for await (const line of createInterface({ input: process.stdin })) {
  const result = await runSimulation(JSON.parse(line), {})
  const verdict = result.overallResult ?? result.result?.overallResult ?? result.analysis?.result
  process.stdout.write(JSON.stringify({ verdict, errors: result.errors }) + '\n')
}
