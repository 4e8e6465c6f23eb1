import support from "../features/support/words.es.json";

export default { support };
