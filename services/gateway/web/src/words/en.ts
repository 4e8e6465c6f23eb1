import account from "../features/account/words.en.json";
import frame from "../features/frame/words.en.json";
import home from "../features/home/words.en.json";
import invoices from "../features/invoices/words.en.json";
import methods from "../features/methods/words.en.json";
import paying from "../features/paying/words.en.json";
import payments from "../features/payments/words.en.json";
import signin from "../features/signin/words.en.json";

export default { account, frame, home, invoices, methods, paying, payments, signin };
