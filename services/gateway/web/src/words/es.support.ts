import disputes from "../features/disputes/words.es.json";
import support from "../features/support/words.es.json";

export default { disputes, support };
