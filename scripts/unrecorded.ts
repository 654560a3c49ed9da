/**
 * Loaded first in every test file's process. tap records which files a process and those that it starts load,
 * to run again what a change concerns; nobody asks for that, and it costs them a third of their start.
 * Without it our own processes also start as a user starts them, with no hooks of tap's.
 */
process.env['_TAPJS_PROCESSINFO_EXCLUDE_'] = '/^/'
process.env['__TAPJS_PROCESSINFO_TESTING_NO_REGISTER__'] = String(process.pid)
