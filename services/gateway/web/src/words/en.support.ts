import disputes from "../features/disputes/words.en.json";
import support from "../features/support/words.en.json";

export default { disputes, support };
