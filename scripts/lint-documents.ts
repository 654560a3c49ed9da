// Checks the descriptions of the API against the rules in redocly.yaml. The linter would ask for news of itself.
process.env['REDOCLY_SUPPRESS_UPDATE_NOTICE'] = 'true'
process.argv.push('lint', '--format=stylish')
await import(import.meta.resolve('@redocly/cli/bin/cli.js'))
