#!/usr/bin/env node
// Builds a mapping into a component, and runs its tests: `kilofold-plugin build`, `kilofold-plugin test`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const HOST = "kilofold:mapping/host@1.0.0";

function fail(message) {
  console.error(`kilofold-plugin: ${message}`);
  process.exit(1);
}

// What a component does not have says so; the engine's own words would be of an unreachable instruction.
const NOTHING = `
  const none = (what, instead) => () => { throw new Error("a mapping has no " + what + "; " + instead); };
  const noClock = none("clock", "take call.context.readAt");
  Date.now = noClock;
  globalThis.Date = new Proxy(Date, {
    apply: noClock,
    construct: (target, args, made) => (args.length === 0 ? noClock() : Reflect.construct(target, args, made)),
  });
  Math.random = none("randomness", "make it from the record, so that a batch can be mapped again");
`;

/** A tool that the project names among its devDependencies. */
async function tool(name) {
  const project = createRequire(resolve("package.json"));
  try {
    return await import(pathToFileURL(project.resolve(name)).href);
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    return fail(`${name} is not installed; run: npm install`);
  }
}

/** The mapping's source: package.json's `main`, or what is usual. */
function source(about) {
  const usual = ["src/index.ts", "src/index.js", "index.ts", "index.js"];
  const found = [about.main, ...usual].find((path) => path !== undefined && existsSync(path));
  return found ?? fail(`there is no ${usual[0]}; name the mapping's file as "main" in package.json`);
}

/** The contract: beside this package, or where its repository keeps it. */
function contract() {
  const own = dirname(dirname(fileURLToPath(import.meta.url)));
  const found = [join(own, "wit"), join(own, "../wit"), join(own, "../../wit")].find((path) =>
    existsSync(join(path, "mapping.wit")),
  );
  return found ?? fail("the contract, mapping.wit, is not beside kilofold-plugin");
}

function options(about) {
  const { name = "mapping", version = "0.0.0", description = "" } = about;
  return {
    bundle: true,
    define: { KILOFOLD_PACKAGE: JSON.stringify({ name, version, description }) },
    format: "esm",
    logLevel: "warning",
    target: "es2023",
  };
}

async function component(about) {
  // What the contract wants exported, around what the mapping's author exports.
  const entry = `
    import "kilofold:nothing";
    import host from "${HOST}";
    import { connect } from "kilofold-plugin";
    import plugin from "./${source(about)}";
    if (plugin?.about === undefined) throw new Error("write 'export default mapper({ ... })'");
    connect(host);
    export const about = plugin.about;
    export const json = plugin.json;
  `;
  const { build } = await tool("esbuild");
  const bundle = await build({
    ...options(about),
    external: [HOST],
    plugins: [
      {
        name: "nothing",
        setup: (build) => {
          build.onResolve({ filter: /^kilofold:nothing$/ }, ({ path }) => ({ path, namespace: "kilofold" }));
          build.onLoad({ filter: /.*/, namespace: "kilofold" }, () => ({ contents: NOTHING }));
        },
      },
    ],
    // Lines stay, so that an error says where.
    minifySyntax: true,
    stdin: { contents: entry, resolveDir: process.cwd(), sourcefile: "kilofold-entry.js" },
    write: false,
  }).catch(() => process.exit(1));
  const { componentize } = await tool("componentize-qjs");
  const made = await componentize({
    witPath: contract(),
    jsSource: bundle.outputFiles[0].text,
    world: "json-mapper",
    // A mapping reaches the host and nothing else: files, clocks and randomness are cut off, not only refused.
    stubWasi: true,
    sync: true,
  }).catch((error) => fail(`the component cannot be made: ${error.message}`));
  const out = join("dist", `${about.name ?? "mapping"}.wasm`);
  mkdirSync("dist", { recursive: true });
  writeFileSync(out, made.component);
  console.log(`${out}: ${Math.ceil(made.component.length / 1024)} KB`);
}

async function test(about, args) {
  const folder = ["test", "tests"].find((path) => existsSync(path)) ?? fail("there is no folder 'test'");
  const files = readdirSync(folder).filter((name) => /\.test\.[cm]?[jt]s$/.test(name));
  if (files.length === 0) {
    fail(`there is no ${folder}/*.test.ts`);
  }
  const { build } = await tool("esbuild");
  const outdir = join("node_modules", ".cache", "kilofold-plugin");
  await build({
    ...options(about),
    entryPoints: files.map((name) => join(folder, name)),
    outExtension: { ".js": ".mjs" },
    outdir,
    platform: "node",
    sourcemap: "inline",
  }).catch(() => process.exit(1));
  const built = files.map((name) => join(outdir, name.replace(/\.[^.]+$/, ".mjs")));
  const ran = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...args, ...built], { stdio: "inherit" });
  process.exit(ran.status ?? 1);
}

const [command, ...args] = process.argv.slice(2);
if (!existsSync("package.json")) {
  fail("there is no package.json here");
}
const about = JSON.parse(readFileSync("package.json", "utf8"));
switch (command) {
  case "build":
    await component(about);
    break;
  case "test":
    await test(about, args);
    break;
  default:
    fail("say 'build' or 'test'");
}
