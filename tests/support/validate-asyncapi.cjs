// AsyncAPI's own parser on a document: FOLDER-OF-NODE-MODULES FILE.
// Writes what it finds, one a line, and ends with status 1 if the document is not valid.
const { readFileSync } = require("node:fs");
const [modules, source] = process.argv.slice(2);
const { Parser } = require(`${modules}/@asyncapi/parser`);

new Parser().parse(readFileSync(source, "utf8"), { source }).then(({ document, diagnostics }) => {
  for (const { severity, path, message } of diagnostics) {
    console.log(`${severity} ${path.join(".")}: ${message}`);
  }
  process.exitCode = document ? 0 : 1;
});
