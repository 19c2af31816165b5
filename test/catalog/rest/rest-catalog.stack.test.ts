import { openRestCatalog } from '../../../catalog/rest/rest-catalog.ts';
import { endpoints } from '../../stack/endpoints.ts';
import { describeCatalog } from './catalog-contract.ts';

describeCatalog('the REST catalog client', async () => ({
  catalog: await openRestCatalog({ uri: endpoints.catalogUri }),
  namespace: [`catalog_contract_${Date.now()}`],
}));
