import account from "../features/account/words.es.json";
import frame from "../features/frame/words.es.json";
import home from "../features/home/words.es.json";
import invoices from "../features/invoices/words.es.json";
import methods from "../features/methods/words.es.json";
import paying from "../features/paying/words.es.json";
import payments from "../features/payments/words.es.json";
import signin from "../features/signin/words.es.json";

export default { account, frame, home, invoices, methods, paying, payments, signin };
