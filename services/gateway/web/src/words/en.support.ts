import support from "../features/support/words.en.json";

export default { support };
