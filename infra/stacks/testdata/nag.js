// Checks CloudFormation templates by cdk-nag's rules of AWS Solutions. Arguments
// are template files. Prints one JSON object a finding that no resource's
// Metadata (cdk_nag) suppresses with a reason.
const path = require('path');
const { App, Aspects, LegacyStackSynthesizer, Stack } = require('aws-cdk-lib');
const { CfnInclude } = require('aws-cdk-lib/cloudformation-include');
const { AwsSolutionsChecks } = require('cdk-nag');

const found = [];
const logger = {
  onCompliance() {},
  onNonCompliance: (d) => found.push({ template: d.resource.stack.node.id, resource: d.resource.logicalId, rule: d.ruleId, finding: d.findingId, info: d.ruleInfo }),
  onSuppressed() {},
  onError: (d) => found.push({ template: d.resource.stack.node.id, resource: d.resource.logicalId, rule: d.ruleId, finding: '', info: 'not checked: ' + d.errorMessage }),
  onSuppressedError() {},
  onNotApplicable() {},
};
const app = new App({ analyticsReporting: false });
for (const file of process.argv.slice(2)) {
  const stack = new Stack(app, path.basename(file, '.template.json'), { synthesizer: new LegacyStackSynthesizer() });
  new CfnInclude(stack, 'Template', { templateFile: file });
}
Aspects.of(app).add(new AwsSolutionsChecks({ reports: false, logIgnores: false, additionalLoggers: [logger] }));
app.synth();
for (const f of found) console.log(JSON.stringify(f));
