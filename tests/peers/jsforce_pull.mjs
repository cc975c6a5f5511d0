// Pulls one query to a JSONL file as jsforce's users do. Prints {"records", "seconds"}.
// usage: node jsforce_pull.mjs INSTANCE_URL ACCESS_TOKEN SOQL PAGE_SIZE OUT
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import jsforce from 'jsforce';

const [instanceUrl, accessToken, soql, pageSize, out] = process.argv.slice(2);
const connection = new jsforce.Connection({ instanceUrl, accessToken, version: '62.0' });
const file = createWriteStream(out);
const begun = process.hrtime.bigint();
const options = { headers: { 'Sforce-Query-Options': `batchSize=${pageSize}` } };
let records = 0;
let page = await connection.query(soql, options);
for (;;) {
  for (const record of page.records) {
    records += 1;
    if (!file.write(JSON.stringify(record) + '\n')) await once(file, 'drain');
  }
  if (page.done) break;
  page = await connection.queryMore(page.nextRecordsUrl, options);
}
file.end();
await once(file, 'finish');
const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
console.log(JSON.stringify({ records, seconds }));
