// Counts the answers that are what their JSON schemas say, and prints those that are not.
import Ajv2020 from 'ajv/dist/2020.js';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';

export class Checker {
  constructor() {
    const options = { strict: false, allErrors: true, validateFormats: true };
    this.draft07 = addFormats(new Ajv(options));
    this.draft2020 = addFormats(new Ajv2020(options));
    this.valid = this.cut = this.wrong = 0;
  }

  // Which draft a schema is written for shows where lists of items differ.
  check(schema, text, finish) {
    if (finish !== 'stop') {
      this.cut += 1;  // by max_tokens, so not whole
      return;
    }
    const old = JSON.stringify(schema).includes('"items":[');
    const ajv = old ? this.draft07 : this.draft2020;
    let problem;
    try {
      const validate = ajv.compile(schema);
      if (!validate(JSON.parse(text))) problem = ajv.errorsText(validate.errors);
    } catch (error) {
      problem = error.message;
    }
    if (problem === undefined) {
      this.valid += 1;
    } else {
      this.wrong += 1;
      console.log(`${JSON.stringify(schema)}\n  ${text}\n  ${problem}`);
    }
  }

  // The exit status.
  report() {
    console.log(`${this.valid} valid, ${this.wrong} wrong, ${this.cut} cut by the token limit`);
    return this.wrong === 0 && this.valid > 0 ? 0 : 1;
  }
}
