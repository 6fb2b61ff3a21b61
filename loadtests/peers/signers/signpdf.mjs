// @signpdf with node-forge, as its README signs: a placeholder put in by plain text, then the signature, in memory.
// node signpdf.mjs KEYS.p12 PASSWORD FILE.pdf OUT.pdf; then a count a line, milliseconds of the processor back.

import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { plainAddPlaceholder } from "@signpdf/placeholder-plain";
import { P12Signer } from "@signpdf/signer-p12";
import { SignPdf } from "@signpdf/signpdf";
import { SUBFILTER_ETSI_CADES_DETACHED } from "@signpdf/utils";

const [keys, passphrase, source, target] = process.argv.slice(2);
const [p12, file] = [readFileSync(keys), readFileSync(source)];
const said = { reason: "", contactInfo: "", name: "", location: "", subFilter: SUBFILTER_ETSI_CADES_DETACHED };

for await (const line of createInterface({ input: process.stdin })) {
  const count = Number(line);
  const before = process.cpuUsage();
  let signed;
  for (let number = 0; number < count; number++) {
    const pdfBuffer = plainAddPlaceholder({ pdfBuffer: file, ...said });
    signed = await new SignPdf().sign(pdfBuffer, new P12Signer(p12, { passphrase }));
  }
  const { user, system } = process.cpuUsage(before);
  writeFileSync(target, signed);
  console.log((user + system) / 1000 / count);
}
