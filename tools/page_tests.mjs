// SPDX-License-Identifier: MIT
// Runs files of tests/page on changed modules, for tools/mutants_js.py. One process runs them again and again, because
// a process for each change would take hours. Nothing is read twice and nothing is written.
//
// A line of the input: {file, code, tests}. The answer is a line: 1 if a test noticed, else 0. An empty file: nothing is
// changed.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { mock } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import vm from 'node:vm';

const PATIENCE_MS = 10000;
const { setTimeout, clearTimeout } = globalThis;
const before = Object.getOwnPropertyDescriptors(globalThis);

const sources = new Map();
let suite = null;
let fail = null; // of the test that runs now

process.on('unhandledRejection', (error) => fail?.(error));
process.on('uncaughtException', (error) => fail?.(error));

function sourceOf(url) {
  const path = fileURLToPath(url);
  if (!sources.has(path)) sources.set(path, readFileSync(path, 'utf8'));
  return sources.get(path);
}

// As much of node:test as the tests use. The first that fails ends all.
const runner = {
  test: (name, action) => suite.tests.push({ name, action, suite }),
  describe: (_name, define) => {
    suite = { outer: suite, beforeEach: [], afterEach: [], tests: suite.tests };
    define();
    suite = suite.outer;
  },
  beforeEach: (action) => suite.beforeEach.push(action),
  afterEach: (action) => suite.afterEach.push(action),
  mock,
};

function hooks(suite, kind) {
  return suite ? [...hooks(suite.outer, kind), ...suite[kind]] : [];
}

async function runTest({ action, suite }) {
  const ends = [];
  const context = { mock: new mock.constructor(), after: (end) => ends.push(end) };
  try {
    for (const hook of hooks(suite, 'beforeEach')) await hook(context);
    await action(context);
  } finally {
    for (const hook of [...hooks(suite, 'afterEach'), ...ends]) await hook(context);
    context.mock.timers.reset();
    context.mock.restoreAll();
  }
}

async function importer(changed) {
  const modules = new Map();

  async function builtIn(name) {
    const exports = { ...(await import(name)) };
    if (name === 'node:test') Object.assign(exports, runner, { default: runner.test });
    // A classic script is read by its test.
    if (name === 'node:fs') {
      exports.readFileSync = (file, ...how) => (file.href === changed?.url ? changed.code : readFileSync(file, ...how));
    }
    const names = Object.keys(exports);
    return new vm.SyntheticModule(names, function () {
      for (const each of names) this.setExport(each, exports[each]);
    });
  }

  function make(url) {
    const [place] = url.split('?');
    return new vm.SourceTextModule(changed?.url === place ? changed.code : sourceOf(place), {
      identifier: url,
      initializeImportMeta: (meta) => Object.assign(meta, { url }),
      importModuleDynamically: (name) => evaluated(name, url),
    });
  }

  function load(name, from) {
    const url = name.startsWith('node:') ? name : new URL(name, from).href;
    if (!modules.has(url)) modules.set(url, url.startsWith('node:') ? builtIn(url) : Promise.resolve(make(url)));
    return modules.get(url);
  }

  async function evaluated(name, from) {
    const module = await load(name, from);
    if (module.status === 'unlinked') await module.link((each, { identifier }) => load(each, identifier));
    await module.evaluate();
    return module;
  }
  return evaluated;
}

async function runFile(path, changed) {
  suite = { outer: null, beforeEach: [], afterEach: [], tests: [] };
  const { tests } = suite;
  const evaluate = await importer(changed);
  try {
    await within(evaluate(pathToFileURL(path).href));
    for (const test of tests) await within(runTest(test));
  } finally {
    mock.timers.reset();
    mock.restoreAll();
    for (const name of Object.keys(Object.getOwnPropertyDescriptors(globalThis))) {
      if (!(name in before)) delete globalThis[name];
    }
    Object.defineProperties(globalThis, before);
  }
}

// What nobody waits for may fail, too, and what is waited for may never come.
function within(work) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('it takes too long')), PATIENCE_MS);
    fail = reject;
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const { file, code, tests } = JSON.parse(line);
  const changed = file && { url: pathToFileURL(file).href, code };
  let noticed = 0;
  try {
    for (const test of tests) await runFile(test, changed);
  } catch (error) {
    noticed = 1;
    if (process.env.TELL) process.stderr.write(`${error?.stack}\n`);
  }
  process.stdout.write(`${noticed}\n`);
}
