// Checks Kubernetes objects against their schemas: types, required fields, values, formats. Input: a JSON file with
// {set: [object, …], …}. Each finding is a line; the exit code is 1 when there was one. No cluster, no network.
import { readFileSync } from 'node:fs';

const moduleOf = (apiVersion) => {
  if (apiVersion.startsWith('monitoring.coreos.com/')) return `@kubernetes-models/prometheus-operator/${apiVersion}`;
  return `kubernetes-models/${apiVersion}`;
};

let findings = 0;
const say = (set, object, text) => {
  findings += 1;
  console.log(`${set}: ${object.kind}/${object.metadata?.name}: ${text}`);
};

for (const [set, objects] of Object.entries(JSON.parse(readFileSync(process.argv[2], 'utf8')))) {
  for (const object of objects) {
    const models = await import(moduleOf(object.apiVersion)).catch(() => ({}));
    if (!models[object.kind]) {
      say(set, object, `no schema for ${object.apiVersion}`);
      continue;
    }
    try {
      new models[object.kind](object).validate();
    } catch (error) {
      say(set, object, error.message.split('\n').join('; '));
    }
  }
}
process.exit(findings === 0 ? 0 : 1);
